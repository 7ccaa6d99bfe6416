import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { serveCommands } from './assemble.js';
import type { Config } from './config/index.js';
import { type Deciding, openDeciding } from './deciding.js';
import type { RecognitionEvent } from './domain/event.js';
import type { Problem } from './domain/problem.js';
import { type Foundation, type FoundationOptions, layFoundation, openGallery } from './foundation.js';
import { type Household, openHousehold, type Stops } from './household.js';
import { Tally } from './http/tally.js';
import { collectGarbage } from './lib/garbage.js';
import { ROOT } from './lib/program.js';
import type { ConfigChange } from './live-config.js';
import { Access } from './pipeline/access.js';
import { livenessReport } from './pipeline/event.js';
import { StageTotals } from './pipeline/figures.js';
import { BEAT_PATIENCE_MS, Health } from './pipeline/health.js';
import { houseMethods } from './pipeline/house.js';
import type { Jobs } from './pipeline/jobs.js';
import { Pause } from './pipeline/pause.js';
import type { FacedService } from './pipeline/service.js';
import { auditStart, Upkeep } from './pipeline/upkeep.js';
import { openJobs } from './scheduled.js';
import { HouseWatch, openHttp } from './web.js';
import { httpParts } from './web-parts.js';
import { drained, offerReembedding, runDry, wire } from './wiring.js';

export interface DaemonOptions extends FoundationOptions {
  /** Null: there is none, and the defaults hold. */
  readonly configFile?: string | null;
  /** Each final decision, once: after it is on disk, or, while the disk takes nothing, when it was decided. */
  readonly onEvent: (event: RecognitionEvent) => void;
}

export interface Daemon {
  /** Resolves when every source (file, folder, demo) has ended and all that they showed is decided; never with a live camera. */
  readonly finished: Promise<void>;
  readonly service: FacedService;
  /** True once the broker has acknowledged every event; false after the limit. Rejects when the disk does not take them all. */
  drained(limitMs: number): Promise<boolean>;
  /** Takes over what needs no restart; answers the settings that do. Without `by`, somebody sent the signal. */
  reload(config: Config, by?: ConfigChange): Promise<string[]>;
  stop(): Promise<void>;
}

const MANIFEST = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  version: string;
};

/** Builds the parts, starts them in order, stops them in reverse. A part that fails to start stops what was started. */
export async function startDaemon(options: DaemonOptions, signal: AbortSignal): Promise<Daemon> {
  const stops: Stops = [];
  const stop = async () => {
    for (const one of stops.splice(0).reverse()) {
      try {
        await one();
      } catch (error) {
        options.log.warn({ error: String(error) }, 'a part did not stop cleanly');
      }
    }
  };
  try {
    return { ...(await build(options, signal, stops)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Makes each part from those before it, starts them, and then lets others ask. */
async function build(
  options: DaemonOptions,
  signal: AbortSignal,
  stops: Stops,
): Promise<Omit<Daemon, 'stop'>> {
  const { log, cameras, onEvent } = options;
  const base = await layFoundation(options, signal);
  const house = await openHousehold(options, {
    ...{ base, cameras, log, signal, stops, version: MANIFEST.version },
    onPause: (paused) => care.pause.set(paused, 'mqtt'),
  });
  // The models take longest to load, so the vision worker starts beside the gallery; what it sees meanwhile waits.
  const ready = openGallery(base, signal);
  const deciding = openDeciding(options, { base, house, ready, log, onEvent });
  let jobs: Jobs | null = null;
  const care = careFor(options, { base, house, deciding }, () => jobs?.problems() ?? []);

  const { link, doors, live, service } = house;
  const outflow = { vision: base.vision, recognition: deciding.recognition, link, ready, log };
  stops.push(() => runDry(outflow));
  const started = Promise.all([
    ready.then(() => doors?.start(signal)).then(() => link.start(signal)),
    base.vision.start(signal),
  ]);
  // The models are being loaded meanwhile, and that is the moment with the most memory in use.
  collectGarbage();
  await started;
  house.sayGallery();
  care.sayControls();

  const running = { base, house, deciding, care, signal, stops, access: new Access(base.store, base.steady) };
  await openControl(options, running);
  jobs = await startUpkeep(options, running);
  await offerReembedding(service, log);
  await base.notifier.ready();
  const { isolation } = base;
  log.info({ device: options.config.device, isolation, cameras: cameras.length }, 'faced is running');
  openWeb(options, running);
  return {
    finished: care.finished,
    service,
    drained: (limitMs) => drained(outflow, limitMs),
    reload: (next, by) => live.reload(next, by),
  };
}

interface Parts {
  readonly base: Foundation;
  readonly house: Household;
  readonly deciding: Deciding;
}

/** What sees to it that all goes well, and tells how it goes. */
interface Care {
  readonly watch: HouseWatch;
  readonly tally: Tally;
  readonly totals: StageTotals;
  readonly health: Health;
  readonly pause: Pause;
  /** Tells whether recognition goes on. */
  readonly sayControls: () => void;
  /** Resolves when the sources have ended and all that they showed is decided. */
  readonly finished: Promise<void>;
}

function careFor(
  { config, stateDir, log }: DaemonOptions,
  { base, house, deciding }: Parts,
  jobProblems: () => readonly Problem[],
): Care {
  const { vision, store, keeper, isolation } = base;
  const { link, doors } = house;
  const { recognition, events } = deciding;
  const { memoryMb } = config.models;
  const watch = new HouseWatch({
    ...{ stateDir, log },
    onPace: (pace) => vision.pace(pace),
    onMemory: (level) => vision.memory(level),
    memoryBudget: memoryMb === null ? null : memoryMb * 2 ** 20,
  });
  events.on((event) => watch.notices.decided(event));
  const tally = new Tally({ vision, events, notices: watch.notices });
  const pause = new Pause({
    store,
    onChange: (paused) => {
      recognition.allTracksEnded();
      doors?.forget();
      log.info({ paused }, 'recognition');
      sayControls();
    },
  });
  const sayControls = () => link.controlState({ v: 1, recognition: pause.paused ? 'paused' : 'on' });
  const health = new Health({
    machine: () => watch.machine(),
    device: config.device,
    version: MANIFEST.version,
    outbox: () => store.outboxStats(),
    brokerProblem: () => link.stats().problem,
    recognition: () => recognition.stats(),
    promiseProblem: () => keeper.problem(),
    others: () => [...(doors?.problems() ?? []), ...watch.problems(), ...jobProblems()],
    ownRssBytes: () => process.memoryUsage.rss(),
    visionIsThread: isolation === 'thread',
  });
  vision.on('livenessChanged', (change) => {
    const report = pause.paused ? null : livenessReport(change, config.device);
    if (report !== null) link.liveness(report);
  });
  const totals = new StageTotals();
  vision.on('beat', (beat) => totals.beat(beat));
  const finished = wire({
    ...{ vision, pause, recognition, doors, health, log },
    onBeat: async () => {
      const report = await health.report();
      link.health(report);
      watch.reported(report, doors?.doors.map(({ status }) => status) ?? []);
    },
  });
  return { watch, tally, totals, health, pause, sayControls, finished };
}

/** A daemon that runs, and lets others ask. */
interface Running extends Parts {
  readonly care: Care;
  readonly access: Access;
  readonly signal: AbortSignal;
  readonly stops: Stops;
}

/** The commands beside the daemon. */
async function openControl(
  { stateDir }: DaemonOptions,
  { house, care, access, stops }: Running,
): Promise<void> {
  const { health, totals } = care;
  const control = await serveCommands(stateDir, {
    ...houseMethods({ service: house.service, access }),
    figures: async () => ({ health: await health.report(), stages: totals.figures() }),
    ...house.doors?.methods,
  });
  stops.push(() => control.close());
}

/** The audit's first row, what is old goes, scheduled work begins, and systemd watches from now on. */
async function startUpkeep(options: DaemonOptions, running: Running): Promise<Jobs> {
  const { config, log } = options;
  const { base, house, deciding, care, stops } = running;
  const { store, steady, clock, notifier } = base;
  const { strangers } = deciding;
  const upkeep = new Upkeep({
    ...{ store, log },
    believedClock: () => steady.look(),
    auditKeepDays: () => house.live.now.audit.keepDays,
    keepsStrangers: strangers !== null,
    onHead: (head) => house.link.auditHead(head),
  });
  stops.push(
    () => upkeep.stop(),
    () => strangers?.settled(),
    () => notifier.stopping(),
  );
  notifier.watchdog(() => care.health.sinceBeat() < BEAT_PATIENCE_MS);
  await auditStart(store, { version: MANIFEST.version, config });
  await upkeep.start();
  const { keeping } = house.service;
  const jobs = await openJobs(options, {
    ...{ store, keeping, upkeep, health: care.health, clock, log, due: base.kept.due },
  });
  stops.push(() => jobs.stop());
  jobs.start();
  return jobs;
}

/** Loaded beside all else: nobody waits for it. */
function openWeb(
  options: DaemonOptions,
  { base, house, deciding, care, access, signal, stops }: Running,
): void {
  const { cameras, env, log } = options;
  const { card, keeper, vision, store } = base;
  const { service, live, link, doors } = house;
  const { recognition, events, looks } = deciding;
  const { watch, health, tally } = care;
  const web = openHttp(
    options,
    httpParts({
      ...{ place: options, live, cameras, env, signal, card, keeper, recognition, link, watch, doors },
      ...{ service, access, vision, store, health, log, tally, events, looks },
      configFile: options.configFile ?? null,
      onGalleryChanged: async () => {
        await keeper.refresh();
        house.sayGallery();
        await doors?.galleryChanged();
      },
    }),
    { version: MANIFEST.version, signal },
  );
  stops.push(async () => (await web)?.stop());
}
