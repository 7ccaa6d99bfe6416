import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { withFrame } from './camera/source-uri.js';
import { type Config, doorsLiveness } from './config/index.js';
import { FacedError } from './domain/errors.js';
import type { LivenessMode } from './domain/liveness.js';
import { createStore } from './gallery/index.js';
import type { ModelCard } from './inference/card.js';
import { createVision } from './inference/client.js';
import { loadHeads } from './inference/heads.js';
import { ModelStore } from './inference/store.js';
import type { Clock } from './lib/clock.js';
import type { Logger } from './lib/log.js';
import { entry } from './lib/program.js';
import type { Methods } from './lib/rpc.js';
import { type ControlServer, serveOnSocket } from './lib/socket-rpc.js';
import { createBroker } from './mqtt/broker.js';
import { createMqttLink, type MqttLink } from './mqtt/client.js';
import type { DoorPort } from './mqtt/command-forms.js';
import type { DiscoveryDoor } from './mqtt/discovery.js';
import { discoveryTopic } from './mqtt/home-assistant.js';
import { DOOR_SHOT_PLAN } from './pipeline/best-shot.js';
import type { EnrolmentRules } from './pipeline/enroller.js';
import { enrolmentLimits } from './pipeline/enrolment.js';
import type { CommandHandler, Store, Vision } from './pipeline/ports.js';
import { PromiseKeeper, type PromiseSettings } from './pipeline/promise.js';
import { bestPromise, thresholdFor } from './pipeline/threshold.js';
import type { CameraSettings } from './pipeline/vision-options.js';
import { PROFILES, type Profile, readBoard } from './system/board.js';
import { chooseIsolation, memoryFigures } from './system/memory.js';
import type { NamedHead } from './vision/head.js';

/** From a configuration to parts: what the daemon and the commands build alike. */
export interface Place {
  readonly config: Config;
  readonly stateDir: string;
  readonly modelsDir: string;
}

export function controlSocketPath(stateDir: string): string {
  return join(stateDir, 'control.sock');
}

/** Commands of this user reach the daemon by it. Throws `daemon.no-socket`. */
export async function serveCommands(stateDir: string, methods: Methods): Promise<ControlServer> {
  const path = controlSocketPath(stateDir);
  try {
    return await serveOnSocket(path, methods);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new FacedError('daemon.no-socket', `${path} cannot be made: ${why}`, {
      fix: 'Remove what is there, and keep the state on a disk that takes Unix sockets (not exFAT, not a share).',
      cause,
    });
  }
}

export function openStore(
  { config, stateDir }: Place,
  log: Logger,
  { onFailed, onProgress }: { onFailed?: (error: FacedError) => void; onProgress?: () => void } = {},
): Store {
  const { keyFile, outboxLimit, keepEventsDays } = config.gallery;
  return createStore({
    directory: stateDir,
    outboxLimit,
    retentionDays: keepEventsDays,
    logger: log,
    ...(keyFile === null ? {} : { keyFile }),
    ...(onFailed === undefined ? {} : { onFailed }),
    ...(onProgress === undefined ? {} : { onProgress }),
  });
}

export interface VisionChoice {
  readonly isolation: 'thread' | 'process';
  readonly cameras: readonly CameraSettings[];
  readonly log: Logger;
  /** Where the photographs of the demo are. */
  readonly photographs?: string;
  /** A live camera waits until there is room for the models. Default false: the start rejects. */
  readonly awaitMemory?: boolean;
  /** Nothing is seen any more until the process starts anew. */
  readonly onFailed?: (error: FacedError) => void;
}

export function openVision(
  { config, modelsDir }: Place,
  { isolation, cameras, log, photographs, onFailed, awaitMemory = false }: VisionChoice,
): Vision {
  const { detector, landmarks, recogniser, liveness, memoryMb } = config.models;
  const engineSocket = engineSocketOf(config);
  return createVision({
    isolation,
    workerUrl: entry('vision-worker.js'),
    options: {
      modelsDir,
      models: {
        detector,
        landmarks,
        recogniser,
        liveness: config.liveness.passive === 'off' ? null : liveness,
      },
      cameras: cameras.map((camera) => forDoors(camera, config)),
      awaitJudgement: true,
      awaitMemory,
      ...(memoryMb === null ? {} : { memoryBudget: memoryMb * 2 ** 20 }),
      crops: config.gallery.keepUnknownHours > 0,
      logLevel: config.log.level,
      variant: config.models.variant,
      variantFirst: profile().variant,
      threads: config.models.threads ?? profile().threads,
      ...(engineSocket === null ? {} : { engineSocket }),
      ...(photographs === undefined ? {} : { photographs }),
    },
    log,
    ...(onFailed === undefined ? {} : { onFailed }),
  });
}

/** Where an engine process is, or will be; null: ONNX Runtime alone. */
export function engineSocketOf({ models: { backend, engineSocket } }: Config): string | null {
  if (backend !== 'auto') return backend === 'tensorrt' ? engineSocket : null;
  // On a board whose profile wants an engine its folder is enough: the process may start after us.
  const wanted = profile().backend === 'tensorrt' && isThere(dirname(engineSocket));
  return wanted || isThere(engineSocket) ? engineSocket : null;
}

/** One that we may not look at is there: that it cannot be used is then said. */
function isThere(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}

export function isolationOf({ config }: Place): 'thread' | 'process' {
  return chooseIsolation(config.isolation, memoryFigures());
}

/** The cameras of the configuration as the vision worker takes them. */
export function camerasOf(config: Config): CameraSettings[] {
  return Object.entries(config.cameras)
    .filter(([, { enabled }]) => enabled)
    .map(
      ([name, { source, liveness, zones, masks, rotation, minFace, fps, motionThreshold, lookEvery }]) => ({
        name,
        source: withFrame(source, profile().frame),
        liveness: {
          mode: liveness,
          withinMs: config.liveness.within * 1000,
          challenge: config.liveness.challenge,
        },
        view: {
          ...{ zones, masks, rotation, minFace, motionThreshold },
          ...{ fps: fps ?? paceOf(config, name), lookEveryMs: lookEvery * 1000 },
        },
      }),
    );
}

/** What suits this board; it is recognised once. */
function profile(): Profile {
  known ??= PROFILES[readBoard().profile];
  return known;
}
let known: Profile | undefined;

/** Frames a second where somebody stands before a door and waits; elsewhere fewer looks cost less. */
const DOOR_PACE = 15;

function paceOf({ cameras, doors }: Config, name: string): number {
  const opens = Object.values(doors).some((door) => door.cameras.includes(name));
  return opens || cameras[name]?.trusted === 'door' ? DOOR_PACE : profile().fps;
}

/** A camera that doors go by looks more often, and tests what they ask for. */
function forDoors(camera: CameraSettings, { doors, liveness }: Config): CameraSettings {
  const asked = doorsLiveness(doors, camera.name);
  if (asked.length === 0) return camera;
  const { within, challenge } = liveness;
  const mode = strongest([camera.liveness?.mode ?? 'off', ...asked]);
  return {
    ...camera,
    looks: DOOR_SHOT_PLAN,
    liveness: { withinMs: within * 1000, challenge, ...camera.liveness, mode },
  };
}

/** What answers every one of these. */
function strongest(modes: readonly LivenessMode[]): LivenessMode {
  const asked = new Set(modes);
  const both = asked.has('both') || (asked.has('active') && asked.has('passive'));
  return both ? 'both' : asked.has('active') ? 'active' : asked.has('passive') ? 'passive' : 'off';
}

export interface Mqtt {
  /** Not started yet. */
  readonly link: MqttLink;
  /** Stops the link, and the broker after it. */
  stop(): Promise<void>;
}

/** An event says that a face was seen, not how long it stays: so long it counts as present. */
const PRESENT_S = 30;

/** The link to the broker of the configuration, or to one of our own, which is started here, when there is none. */
export async function openMqtt(
  { config }: Place,
  deps: {
    store: Store;
    handler: CommandHandler;
    log: Logger;
    clock: Clock;
    about: { version: string; cameras: readonly string[] };
    doors: { readonly port: DoorPort; readonly discovery: readonly DiscoveryDoor[] } | null;
  },
  signal: AbortSignal,
): Promise<Mqtt> {
  const {
    url,
    username,
    passwordFile,
    ca,
    cert,
    key,
    clientId,
    attempts,
    snapshots,
    controls,
    healthEvery,
    embedded,
    homeAssistant,
  } = config.mqtt;
  const reserved = [discoveryTopic(config.device, homeAssistant.prefix)];
  const broker = url === null ? createBroker({ ...embedded, reserved }, deps) : null;
  await broker?.start(signal);
  const link = createMqttLink(
    {
      url: broker?.url ?? url ?? '',
      device: config.device,
      attempts,
      snapshots,
      controls,
      healthEveryMs: healthEvery * 1000,
      homeAssistant: {
        ...homeAssistant,
        ...deps.about,
        snapshots,
        controls,
        doors: deps.doors?.discovery ?? [],
        presentS: PRESENT_S,
      },
      ...(broker === null
        ? given({ username, passwordFile, caFile: ca, certFile: cert, keyFile: key })
        : broker.credentials),
      ...given({ clientId }),
    },
    {
      outbox: deps.store,
      memory: deps.store,
      handler: deps.handler,
      log: deps.log,
      clock: deps.clock,
      ...(deps.doors === null ? {} : { door: deps.doors.port }),
    },
  );
  const stop = async () => {
    await link.stop();
    await broker?.stop();
  };
  return { link, stop };
}

/** Without what the configuration leaves open. */
function given<Key extends string>(values: Record<Key, string | null>): Partial<Record<Key, string>> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null)) as Partial<
    Record<Key, string>
  >;
}

/** What else is told of a face; the heads must have been trained on this recogniser. */
export function openHeads({ config, modelsDir }: Place, card: ModelCard): Promise<NamedHead[]> {
  return loadHeads(config.models.heads, { dir: modelsDir, space: card.space ?? card.id });
}

/** The card of the recogniser in use, with the curve that holds for the form of it that is run here. */
export async function openCard(place: Place): Promise<ModelCard> {
  const { recogniser } = place.config.models;
  return (await formsOf(place, recogniser).inUse(recogniser)).card;
}

/** Knows which form of this model the daemon runs. */
export function formsOf({ config, modelsDir }: Place, id: string): ModelStore {
  const { recogniser, variant } = config.models;
  // What the engine answers, and what stands by for it, is FP32 or next to it.
  const standsBy = id === recogniser && engineSocketOf(config) !== null;
  return new ModelStore({ dir: modelsDir, first: profile().variant, wish: standsBy ? 'float' : variant });
}

export function promiseFor({ config }: Place, card: ModelCard, store: Store): PromiseKeeper {
  return new PromiseKeeper({
    store,
    space: card.space ?? card.id,
    thresholdFor: (gallery) => thresholdFor(card.curve, gallery).threshold,
    settings: promiseSettings(config),
  });
}

/** What a new sample is held to now. Throws promise.unmeasured when nothing can be promised for this gallery. */
export function enrolmentRules(
  { gallery }: Pick<Config, 'gallery'>,
  card: ModelCard,
  keeper: Pick<PromiseKeeper, 'policy'>,
): EnrolmentRules {
  return {
    limits: enrolmentLimits(card.curve, gallery.samplesPerPerson),
    duplicateFrom: keeper.policy().threshold,
    keepImages: gallery.keepImages,
  };
}

export function promiseSettings({ recognition, liveness }: Config): PromiseSettings {
  const { strangersPerThousand, margin } = recognition;
  return { strangersPerThousand, margin, livenessMinimum: liveness.minimum };
}

/** The least promise (of a thousand strangers) that was measured for a gallery of this size, and the threshold of the one that is set. */
export function attainablePromise(
  { recognition: { strangersPerThousand } }: Config,
  { curve }: ModelCard,
  gallery: { people: number; samples: number },
): { attainable: number | null; threshold: number | null } {
  if (curve === undefined) return { attainable: null, threshold: null };
  const size = { people: Math.max(1, gallery.people), samples: Math.max(1, gallery.samples) };
  const attainable = bestPromise(curve, size);
  const kept = strangersPerThousand >= attainable;
  return {
    attainable,
    threshold: kept ? thresholdFor(curve, { ...size, strangersPerThousand }).threshold : null,
  };
}
