/** What `faced doctor` looks at, on the command line and over HTTP: from the configuration to checks. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  attainablePromise,
  camerasOf,
  controlSocketPath,
  engineSocketOf,
  formsOf,
  openCard,
  type Place,
} from './assemble.js';
import type { Config } from './config/index.js';
import type { Check } from './domain/check.js';
import { FacedError } from './domain/errors.js';
import type { Person } from './domain/person.js';
import { askKernel } from './door/clock-trust.js';
import { HOLDER } from './door/holder.js';
import { keySource } from './gallery/key.js';
import { loadCards } from './inference/card.js';
import { askEngine } from './inference/engine-check.js';
import { checkFile } from './inference/store.js';
import { ROOT } from './lib/program.js';
import { callSocket } from './lib/socket-rpc.js';
import type { DaemonFigures } from './pipeline/figures.js';
import { readBoard } from './system/board.js';
import { type ModelFinding, type PromiseFinding, runDoctor, type SamplesFinding } from './system/doctor.js';
import type { BackendOptions } from './system/doctor-backend.js';
import type { DoorFinding } from './system/doctor-door.js';
import { boardReport } from './system/report.js';

export interface CheckupMeans {
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  /** Who is in the gallery, and which samples the recogniser in use cannot compare with. Asked once. */
  readonly gallery: () => Promise<{ people: readonly Person[]; samples: SamplesFinding }>;
  /** Whether this process may wait for programs. The daemon may not: it would look at nobody meanwhile. */
  readonly asksPrograms: boolean;
}

/** Every check of this machine and this installation; none throws. */
export function checkup(place: Place, means: CheckupMeans): Promise<Check[]> {
  const { env, signal, gallery, asksPrograms } = means;
  const { config, stateDir } = place;
  // For both checks: where no daemon runs, each would have to wait for the other's lock.
  const asked = gallery();
  asked.catch(() => {});
  return runDoctor({
    ...{ stateDir, asksPrograms },
    loadAddon: async () => (await import('./image/index.js')).opencvVersion(),
    models: () => modelFindings(place),
    backend: backendOf(place),
    cameras: camerasOf(config),
    overrides: overridesOf(config),
    brokerUrl: config.mqtt.url,
    key: () =>
      keySource({
        directory: stateDir,
        keyFile: config.gallery.keyFile ?? undefined,
        credentialsDirectory: env.CREDENTIALS_DIRECTORY,
      }),
    promise: async () => promiseFinding(place, (await asked).people),
    samples: async () => (await asked).samples,
    doors: {
      holder: HOLDER,
      doors: doorFindings(config),
      neverLive: () => neverLive(place),
      clockSynchronised: () =>
        config.access.clock === 'trusted' ? Promise.resolve(true) : askKernel(signal),
    },
  });
}

/** What the configuration sets although the board's profile has a value for it. */
export function overridesOf({ models, cameras }: Config): string[] {
  const { threads, variant, backend } = models;
  return [
    ...(threads === null ? [] : [`models.threads ${threads}`]),
    ...(variant === 'auto' ? [] : [`models.variant ${variant}`]),
    ...(backend === 'auto' ? [] : [`models.backend ${backend}`]),
    ...Object.entries(cameras).flatMap(([name, { fps, source }]) => [
      ...(fps === null ? [] : [`cameras.${name}.fps ${fps}`]),
      ...frameOf(name, source),
    ]),
  ];
}

/** A source that names a size is asked for that one instead of the profile's. */
function frameOf(name: string, source: string): string[] {
  const named = /^(?:v4l2|csi):[^?]*\?(.*)$/.exec(source)?.[1] ?? '';
  const sizes = [...new URLSearchParams(named)].filter(([key]) => key === 'width' || key === 'height');
  return sizes.map(([key, value]) => `cameras.${name}.source ${key} ${value}`);
}

/** Figures of this board, without anything of the house; those of speed come from the running daemon. */
export async function reportOf(place: Place, checks: readonly Check[], root = '/') {
  const { config, modelsDir, stateDir } = place;
  const findings = await modelFindings(place).catch(() => []);
  const cards = await loadCards(modelsDir).catch(() => null);
  const shipped = findings.filter(({ id }) => cards?.get(id)?.origin === 'shipped');
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  return boardReport({
    version,
    board: readBoard(root),
    checks,
    models: shipped.map(({ id, state, form }) => ({ id, kind: form?.split(' ')[0] ?? state })),
    ownModels: findings.length - shipped.length,
    opencv: await import('./image/index.js').then(({ opencvVersion }) => opencvVersion()).catch(() => null),
    cameras: camerasOf(config).map(({ source }) => source.split(':')[0] ?? ''),
    daemon: await daemonFigures(stateDir),
    root,
  });
}

/** null: no daemon runs, or one that does not know the question. */
async function daemonFigures(stateDir: string): Promise<DaemonFigures | null> {
  const daemon = await callSocket(controlSocketPath(stateDir), { reviveError: FacedError.from });
  if (daemon === null) return null;
  return daemon
    .call<DaemonFigures>('figures')
    .catch(() => null)
    .finally(() => daemon.close());
}

function doorFindings({ doors, access }: Config): DoorFinding[] {
  return Object.entries(doors).map(([id, { lock, cameras, codes, modes, remoteUnlock }]) => {
    const rules = access.rules.filter((rule) => rule.doors.includes('all') || rule.doors.includes(id));
    const face = cameras.length > 0 && modes.includes('face');
    const code = codes.length > 0 && modes.includes('code');
    const two = cameras.length > 0 && codes.length > 0 && modes.includes('face+code');
    const people = rules.length > 0 ? [face, code, two].filter((open) => open).length : 0;
    return {
      id,
      driver: lock.driver,
      chip: lock.chip,
      waysIn: people + (remoteUnlock ? 1 : 0),
      needsClock: access.guests.length > 0 || rules.some(({ when }) => when !== 'always'),
    };
  });
}

/** Doors whose active test has no 68 points to go by. A detector with points of its own is asked for no others. */
async function neverLive({ config, modelsDir }: Place): Promise<string[]> {
  const detector = (await loadCards(modelsDir)).get(config.models.detector);
  if (detector?.card.output.form !== 'yunet') return [];
  return Object.entries(config.doors)
    .filter(([, { cameras, sure }]) => cameras.length > 0 && ['active', 'both'].includes(sure.liveness))
    .map(([id]) => id);
}

function backendOf(place: Place): BackendOptions {
  const socket = engineSocketOf(place.config);
  return { engine: socket === null ? null : async () => askEngine({ socket, card: await openCard(place) }) };
}

/** The models that the configuration uses. */
async function modelFindings(place: Place): Promise<ModelFinding[]> {
  const { config, modelsDir } = place;
  const { detector, landmarks, recogniser, liveness } = config.models;
  const used = [detector, landmarks, recogniser, ...(config.liveness.passive === 'off' ? [] : [liveness])];
  const cards = await loadCards(modelsDir);
  return Promise.all(
    used.map(async (id) => {
      const placed = cards.get(id);
      if (placed === undefined) return { id, state: 'missing' as const };
      return checkFile(placed).then(
        async () => {
          const { kind, why } = await formsOf(place, id).inUse(id);
          return { id, state: 'ready' as const, form: `${kind} (${why})` };
        },
        (error: { code?: string }) => ({
          id,
          state: error.code === 'model.missing' ? ('missing' as const) : ('damaged' as const),
        }),
      );
    }),
  );
}

async function promiseFinding(place: Place, people: readonly Person[]): Promise<PromiseFinding> {
  const card = await openCard(place);
  const gallery = { people: people.length, samples: people.reduce((sum, one) => sum + one.samples, 0) };
  return {
    people: gallery.people,
    wanted: place.config.recognition.strangersPerThousand,
    ...attainablePromise(place.config, card, gallery),
  };
}
