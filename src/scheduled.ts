/** Scheduled work: from the configuration to jobs. */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Place } from './assemble.js';
import { FacedError } from './domain/errors.js';
import { askKernel } from './door/clock-trust.js';
import { loadCards } from './inference/card.js';
import { checkFile } from './inference/store.js';
import { writeFileAtomic } from './lib/atomic-file.js';
import type { Logger } from './lib/log.js';
import { ClockWatch } from './pipeline/clock-watch.js';
import type { Health } from './pipeline/health.js';
import { type DueTimes, type Job, Jobs } from './pipeline/jobs.js';
import type { Keeping } from './pipeline/keeping.js';
import type { Store } from './pipeline/ports.js';
import type { Upkeep } from './pipeline/upkeep.js';

export interface ScheduledDeps {
  readonly store: Pick<Store, 'integrityCheck'>;
  readonly keeping: Pick<Keeping, 'rotateBackups'>;
  readonly upkeep: Pick<Upkeep, 'prune'>;
  readonly health: Pick<Health, 'report'>;
  readonly clock: ClockWatch;
  readonly log: Logger;
  readonly due: DueTimes;
}

/** What the last process wrote down. */
export interface Kept {
  readonly due: DueTimes;
  /** The last wall clock that was believed, milliseconds since 1970. */
  readonly seenAt: number | null;
}

const FILE = 'schedule.json';

/** What the last process wrote down. A file that is not there or not ours: nothing, and nothing was missed then. */
export async function readKept(stateDir: string): Promise<Kept> {
  const kept = await readFile(join(stateDir, FILE), 'utf8')
    .then((file): unknown => JSON.parse(file))
    .catch(() => null);
  if (typeof kept !== 'object' || kept === null) return { due: {}, seenAt: null };
  const { due, seenAt } = kept as { due?: unknown; seenAt?: unknown };
  const times = Object.entries(typeof due === 'object' && due !== null ? due : {}).filter(
    (one): one is [string, number] => typeof one[1] === 'number' && Number.isFinite(one[1]),
  );
  return {
    due: Object.fromEntries(times),
    seenAt: typeof seenAt === 'number' && Number.isFinite(seenAt) ? seenAt : null,
  };
}

export function clockWatch({ config }: Place, { seenAt }: Kept, signal: AbortSignal): ClockWatch {
  return new ClockWatch({
    seenAt,
    ask: () => (config.access.clock === 'trusted' ? Promise.resolve(true) : askKernel(signal)),
  });
}

/** Not started yet. node-cron is loaded here and not before. */
export async function openJobs(place: Place, deps: ScheduledDeps): Promise<Jobs> {
  const { cronTimetable } = await import('./system/cron.js');
  return new Jobs({
    jobs: jobsOf(place, deps),
    timetable: cronTimetable,
    log: deps.log,
    due: deps.due,
    writeDue: (due) => {
      const kept: Kept = { due, seenAt: deps.clock.seenAt };
      return writeFileAtomic(join(place.stateDir, FILE), `${JSON.stringify(kept)}\n`, 0o600);
    },
  });
}

export function jobsOf(place: Place, deps: Omit<ScheduledDeps, 'due'>): Job[] {
  const { store, keeping, upkeep, health, clock, log } = deps;
  const { schedule } = place.config;
  return [
    {
      name: 'retention',
      when: schedule.retention,
      run: async () => {
        await upkeep.prune();
        return undefined;
      },
    },
    {
      name: 'backup',
      when: schedule.backup,
      run: async () => {
        // Backups are named and thrown away by their time: a wrong one would push out good ones.
        await clock.check();
        const directory = schedule.backupFolder ?? join(place.stateDir, 'backups');
        await mkdir(directory, { recursive: true, mode: 0o700 });
        const keep = schedule.keepBackups;
        const { bytes, purged, removed, failed } = await keeping.rotateBackups({
          ...{ directory, keep, actor: 'schedule' },
        });
        log.info(
          { bytes, purged, removed: removed.length },
          'the gallery was backed up, and the copy checked',
        );
        if (failed.length > 0)
          throw new FacedError(
            'gallery.failed',
            `${failed.length} older backups could not be gone through for people who were deleted since`,
            { fix: 'faced backup rotate DIR names them; delete them by hand.' },
          );
        return undefined;
      },
    },
    {
      name: 'integrity',
      when: schedule.integrity,
      run: async () => {
        const problems = await store.integrityCheck();
        if (problems.length === 0) return undefined;
        throw new FacedError(
          'gallery.corrupt',
          `the database is damaged: ${problems.slice(0, 3).join('; ')}`,
          {
            fix: 'Stop the daemon and restore a backup: faced backup restore FILE',
          },
        );
      },
    },
    { name: 'clock', when: schedule.clock, run: () => clock.check() },
    { name: 'report', when: schedule.report, run: () => report(place, health, log) },
  ];
}

/** The models' files against their cards, and how the daemon is, in one line of the log. */
async function report(
  { config, modelsDir }: Place,
  health: Pick<Health, 'report'>,
  log: Logger,
): Promise<undefined> {
  const { detector, landmarks, recogniser, liveness } = config.models;
  const cards = await loadCards(modelsDir);
  const used = [detector, landmarks, recogniser, ...(config.liveness.passive === 'off' ? [] : [liveness])];
  const { state, problems, uptimeS, rssBytes, outbox, machine, backend } = await health.report();
  log.info(
    {
      ...{ state, problems: problems.map(({ code }) => code), uptimeS, rssBytes },
      ...{ waiting: outbox.waiting, dropped: outbox.dropped, ...machine },
      ...{ models: used, using: backend?.using ?? null },
    },
    'the state of health',
  );
  for (const id of used) {
    const placed = cards.get(id);
    if (placed === undefined) throw new FacedError('model.missing', `there is no card of the model ${id}`);
    await checkFile(placed);
  }
  return undefined;
}
