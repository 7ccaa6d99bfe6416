import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  controlSocketPath,
  enrolmentRules,
  isolationOf,
  openCard,
  openHeads,
  openMqtt,
  openStore,
  openVision,
  type Place,
  promiseFor,
} from './assemble.js';
import type { Config } from './config/index.js';
import { FacedError } from './domain/errors.js';
import type { RecognitionEvent } from './domain/event.js';
import type { Instant } from './domain/frame.js';
import { forgetKeysOfOthers, keysOf } from './door/index.js';
import { doorsOnMqtt, HouseDoors } from './doors.js';
import type { EventFeed } from './http/parts.js';
import { Tally } from './http/tally.js';
import { TypedEvents } from './lib/events.js';
import { collectGarbage } from './lib/garbage.js';
import type { Logger } from './lib/log.js';
import { ROOT } from './lib/program.js';
import { serveOnSocket } from './lib/socket-rpc.js';
import { type ConfigChange, LiveConfig } from './live-config.js';
import { createEventEncoder } from './mqtt/signature.js';
import { Access } from './pipeline/access.js';
import { commandHandler } from './pipeline/commands.js';
import { attemptOf, type Looked, livenessReport } from './pipeline/event.js';
import { StageTotals } from './pipeline/figures.js';
import { BEAT_PATIENCE_MS, Health } from './pipeline/health.js';
import { houseMethods } from './pipeline/house.js';
import type { Jobs } from './pipeline/jobs.js';
import { Pause } from './pipeline/pause.js';
import { Presence } from './pipeline/presence.js';
import { Recognition } from './pipeline/recognition.js';
import { sameFaceLimits } from './pipeline/same-face.js';
import { FacedService } from './pipeline/service.js';
import { SteadyClock } from './pipeline/steady-clock.js';
import { Strangers } from './pipeline/strangers.js';
import { auditStart, Upkeep } from './pipeline/upkeep.js';
import type { CameraSettings } from './pipeline/vision-options.js';
import { clockWatch, openJobs, readKept } from './scheduled.js';
import { Notifier } from './system/notify.js';
import { HouseWatch, openHttp } from './web.js';
import { httpParts } from './web-parts.js';
import { drained, offerReembedding, runDry, wire } from './wiring.js';

export interface DaemonOptions extends Place {
  /** Null: there is none, and the defaults hold. */
  readonly configFile?: string | null;
  readonly cameras: readonly CameraSettings[];
  readonly log: Logger;
  readonly env: NodeJS.ProcessEnv;
  /** Where the photographs of the demo are. */
  readonly photographs?: string;
  /** Each final decision, once, after it is on disk. */
  readonly onEvent: (event: RecognitionEvent) => void;
  /** A part that cannot be done without has failed while running. */
  readonly onFatal: (error: FacedError) => void;
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

/** Ends what was started, newest first. */
type Stops = (() => unknown)[];

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

async function build(
  options: DaemonOptions,
  signal: AbortSignal,
  stops: Stops,
): Promise<Omit<Daemon, 'stop'>> {
  const { config, log, cameras, env, photographs } = options;
  const isolation = isolationOf(options);
  const notifier = new Notifier({ env, onProblem: (reason) => log.warn({ reason }, 'systemd was not told') });
  const card = await openCard(options);
  const encoder = await createEventEncoder(config.mqtt.signKeyFile ?? undefined);

  const store = openStore(options, log, {
    onFailed: options.onFatal,
    onProgress: () => notifier.progress(),
  });
  const kept = await readKept(options.stateDir);
  const clock = clockWatch(options, kept, signal);
  const steady = new SteadyClock({
    check: () => clock.check(),
    onLooked: (state) => store.clockLooked(state),
  });
  const vision = openVision(options, {
    isolation,
    cameras,
    log,
    onFailed: options.onFatal,
    awaitMemory: true,
    ...(photographs === undefined ? {} : { photographs }),
  });
  const keeper = promiseFor(options, card, store);
  const { sameFace } = sameFaceLimits(card.curve);
  const service: FacedService = new FacedService({
    vision,
    store,
    judge: keeper,
    enrolment: () => enrolmentRules(live.now, card, keeper),
    space: card.space ?? card.id,
    sameFace,
    cameras: cameras.map(({ name }) => name),
    keysOf: (person) => keysOf(options.stateDir, person),
    onGalleryChanged: async () => {
      sayGallery();
      if (doors === null) await forgetKeysOfOthers(options.stateDir, store);
      else await doors.galleryChanged();
    },
  });
  const handler = commandHandler({
    service,
    vision,
    signal,
    onSnapshot: (camera, jpeg) => link.snapshot(camera, jpeg),
    onEnrollProgress: (id, { camera, pose, taken, wanted, advice, text }) =>
      link.enrollProgress({ v: 1, id, camera, pose, taken, wanted, advice, text }),
    snapshots: config.mqtt.snapshots,
    onPause: (paused) => pause.set(paused, 'mqtt'),
    onLock: async (command) => {
      if (doors === null) throw new FacedError('door.refused', 'this faced has no door');
      return doors.order(command);
    },
  });
  const mqtt = await openMqtt(
    options,
    {
      store,
      handler,
      log,
      clock: steady,
      about: { version: MANIFEST.version, cameras: cameras.map(({ name }) => name) },
      doors: await doorsOnMqtt(config, (refusal) => doors?.commandRefused(refusal)),
    },
    signal,
  );
  stops.push(
    () => store.stop(),
    () => steady.stop(),
    mqtt.stop,
  );
  const { link } = mqtt;
  const doors =
    Object.keys(config.doors).length === 0
      ? null
      : await HouseDoors.open({
          ...{ config, stateDir: options.stateDir, cameras, store, link, log },
          curve: card.curve,
          policy: () => keeper.policy(),
        });
  if (doors !== null) stops.push(() => doors.stop());
  const live = new LiveConfig({ config, store, keeper, doors, notifier });
  const sayGallery = () => {
    const { version, people, samples } = keeper.counts();
    link.gallery({ v: 1, version, people, samples });
  };

  // The models take longest to load, so the vision worker starts beside the gallery; what it sees meanwhile waits.
  const ready = store.start(signal).then(async () => {
    const newest = await store.latestEvent();
    await steady.start(latest(kept.seenAt, newest?.timeMs ?? null), newest?.id);
    await keeper.refresh();
    // Whoever cannot keep the promise does not begin to decide.
    keeper.policy();
  });
  const heads = await openHeads(options, card);
  const { keepUnknownHours, unknownLimit } = config.gallery;
  const strangers =
    keepUnknownHours === 0
      ? null
      : new Strangers({
          store,
          keepMs: keepUnknownHours * 3_600_000,
          limit: unknownLimit,
          threshold: () => keeper.policy().threshold,
          now: () => steady.wall(),
          onError: (error) => log.warn({ error: String(error) }, 'a stranger could not be kept'),
        });
  const upkeep = new Upkeep({
    store,
    log,
    believedClock: () => steady.look(),
    auditKeepDays: () => live.now.audit.keepDays,
    keepsStrangers: strangers !== null,
    onHead: (head) => link.auditHead(head),
  });
  const context = {
    ...{ device: config.device, model: card.id, heads },
    clock: steady,
    newId: () => steady.newId(),
    timeOf: (captured: Instant) => steady.at(captured),
  };
  const feed = new TypedEvents<{ decided: RecognitionEvent; looked: Looked }>((error) =>
    log.error({ error: String(error) }, 'a listener to events failed'),
  );
  const { renewAfter } = config.recognition;
  const recognition = new Recognition({
    presence: new Presence({
      policy: () => keeper.policy(),
      sameFace,
      livenessOf: (camera) => config.cameras[camera]?.liveness ?? 'off',
      renewAfterMs: renewAfter === 0 ? null : renewAfter * 1000,
    }),
    store,
    ready,
    context,
    log,
    messages: (event) => [{ topic: link.topics.recognition, payload: encoder.encode(event) }],
    onEvent: (event) => {
      link.notify();
      options.onEvent(event);
      strangers?.decided(event);
      feed.emit('decided', event);
    },
    onRecovered: () => link.notify(),
    onJudged: () => vision.judged(1),
    eachLook: (camera) => doors?.watches(camera) === true,
    onLook: (sighting, match, own) => {
      strangers?.looked(sighting);
      doors?.looked(sighting, own);
      // While the promise cannot be kept nothing is decided, and nothing is shown.
      if (keeper.problem() !== null) return;
      const look = attemptOf({ sighting, match, policy: keeper.policy(), device: config.device });
      feed.emit('looked', look);
      if (config.mqtt.attempts) link.attempt(look);
    },
  });
  const { memoryMb } = config.models;
  const watch = new HouseWatch({
    ...{ stateDir: options.stateDir, log },
    onPace: (pace) => vision.pace(pace),
    onMemory: (level) => vision.memory(level),
    memoryBudget: memoryMb === null ? null : memoryMb * 2 ** 20,
  });
  const decided: EventFeed = { on: (listener) => feed.on('decided', listener) };
  decided.on((event) => watch.notices.decided(event));
  const tally = new Tally({ vision, events: decided, notices: watch.notices });
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
  let jobs: Jobs | null = null;
  const health = new Health({
    machine: () => watch.machine(),
    device: config.device,
    version: MANIFEST.version,
    outbox: () => store.outboxStats(),
    brokerProblem: () => link.stats().problem,
    recognition: () => recognition.stats(),
    promiseProblem: () => keeper.problem(),
    others: () => [...(doors?.problems() ?? []), ...watch.problems(), ...(jobs?.problems() ?? [])],
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
    vision,
    pause,
    recognition,
    doors,
    health,
    log,
    onBeat: async () => {
      const report = await health.report();
      link.health(report);
      watch.reported(report, doors?.doors.map(({ status }) => status) ?? []);
    },
  });
  const outflow = { vision, recognition, link, ready, log };
  stops.push(() => runDry(outflow));
  const started = Promise.all([
    ready.then(() => doors?.start(signal)).then(() => link.start(signal)),
    vision.start(signal),
  ]);
  // The models are being loaded meanwhile, and that is the moment with the most memory in use.
  collectGarbage();
  await started;
  sayGallery();
  sayControls();

  const access = new Access(store, steady);
  const control = await serveOnSocket(controlSocketPath(options.stateDir), {
    ...houseMethods({ service, access }),
    figures: async () => ({ health: await health.report(), stages: totals.figures() }),
    ...doors?.methods,
  });
  stops.push(
    () => control.close(),
    () => upkeep.stop(),
    () => strangers?.settled(),
    () => notifier.stopping(),
  );
  notifier.watchdog(() => health.sinceBeat() < BEAT_PATIENCE_MS);
  await auditStart(store, { version: MANIFEST.version, config });
  await upkeep.start();
  const parts = { store, keeping: service.keeping, upkeep, health, clock, log, due: kept.due };
  const scheduled = await openJobs(options, parts);
  jobs = scheduled;
  stops.push(() => scheduled.stop());
  scheduled.start();
  await offerReembedding(service, log);
  await notifier.ready();
  log.info({ device: config.device, isolation, cameras: cameras.length }, 'faced is running');
  const web = openHttp(
    options,
    httpParts({
      ...{ place: options, live, cameras, env, signal, card, keeper, recognition, link, watch, doors },
      ...{ service, access, vision, store, health, log, tally },
      configFile: options.configFile ?? null,
      events: decided,
      looks: { on: (listener) => feed.on('looked', listener) },
      onGalleryChanged: async () => {
        await keeper.refresh();
        sayGallery();
        await doors?.galleryChanged();
      },
    }),
    { version: MANIFEST.version, signal },
  );
  stops.push(async () => (await web)?.stop());
  return {
    finished,
    service,
    drained: (limitMs) => drained(outflow, limitMs),
    reload: (next, by) => live.reload(next, by),
  };
}

function latest(...times: readonly (number | null)[]): number | null {
  const known = times.filter((time) => time !== null);
  return known.length === 0 ? null : Math.max(...known);
}
