import { camerasOf } from '../assemble.js';
import { loadConfig, settingsFile } from '../config/index.js';
import { type Daemon, startDaemon } from '../daemon.js';
import { FacedError } from '../domain/errors.js';
import type { RecognitionEvent } from '../domain/event.js';
import type { CameraSettings } from '../pipeline/vision-options.js';
import { videoDevices } from '../system/doctor-camera.js';
import { type CommandIo, type ExitCode, parse, usage } from './command.js';
import { type Demo, prepareDemo } from './demo.js';
import { COMMON_OPTIONS, type Settings, settings } from './settings.js';

/** How long `--once` waits for the broker after the source has ended. */
const DRAIN_LIMIT_MS = 30_000;
/** The name of a camera that no configuration names. */
const CAMERA = 'camera';

export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, {
    ...COMMON_OPTIONS,
    source: { type: 'string' },
    once: { type: 'boolean', default: false },
  });
  if (positionals.length > 0) throw usage(`run takes no ${positionals[0]}`);
  const found = settings(io, values);
  tellApart(found.apart, io);
  const demo = await prepared(values.source, found, io);
  if (demo === 'interrupted') return values.once ? 1 : 0;
  const place = demo?.place ?? found;
  const failed = new AbortController();
  const starting = startDaemon(
    {
      ...place,
      cameras: chooseCameras(place, values.source, io),
      log: io.log,
      env: io.env,
      ...(demo === null ? {} : { photographs: demo.photographs }),
      onEvent: (event) => io.line(io.json ? JSON.stringify(event) : sentence(event)),
      onFatal: (error) => failed.abort(error),
    },
    io.signal,
  );
  // From the first moment: unheard, a hang-up ends a process.
  const stopListening = onHangUp(() => {
    starting.then(
      (daemon) => reload(daemon, place, io),
      () => undefined,
    );
  });
  const daemon = await starting.catch((error: unknown) => {
    stopListening();
    // A signal while a model was loading: what was started has been stopped, and that is all that was asked.
    if (io.signal.aborted) return null;
    throw error;
  });
  if (daemon === null) return values.once ? 1 : 0;
  try {
    return await untilTheEnd(daemon, { io, failed: failed.signal, once: values.once });
  } finally {
    stopListening();
    await daemon.stop();
  }
}

/** The demo's people and photographs, where it is asked for. */
async function prepared(
  source: string | undefined,
  found: Settings,
  io: CommandIo,
): Promise<Demo | null | 'interrupted'> {
  if (source === undefined || !/^demo($|\?)/.test(source)) return null;
  try {
    return await prepareDemo(found, io);
  } catch (error) {
    if (io.signal.aborted) return 'interrupted';
    throw error;
  }
}

/** Until a signal or a fatal failure; with `once` until the source has ended and the broker has acknowledged everything. */
async function untilTheEnd(
  daemon: Daemon,
  { io, failed, once }: { io: CommandIo; failed: AbortSignal; once: boolean },
): Promise<ExitCode> {
  const interrupted = Promise.race([aborted(io.signal), aborted(failed)]);
  const finished = once ? daemon.finished.then(() => 'finished' as const) : interrupted;
  const reason = await Promise.race([interrupted, finished]);
  if (failed.aborted) throw FacedError.from(failed.reason);
  if (reason !== 'finished') return once ? 1 : 0;
  if (await daemon.drained(DRAIN_LIMIT_MS)) return 0;
  throw new FacedError(
    'mqtt.connect-failed',
    'the broker has not acknowledged every event; they wait in the outbox',
    {
      fix: 'faced run sends them as soon as the broker is there',
    },
  );
}

function aborted(signal: AbortSignal): Promise<'aborted'> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve('aborted');
    signal.addEventListener('abort', () => resolve('aborted'), { once: true });
  });
}

function chooseCameras({ config }: Settings, source: string | undefined, io: CommandIo): CameraSettings[] {
  if (source !== undefined) return [{ name: CAMERA, source, view: {} }];
  const configured = camerasOf(config);
  if (configured.length > 0) return configured;
  const [device] = videoDevices();
  if (device !== undefined) return [{ name: CAMERA, source: `v4l2:${device}`, view: {} }];
  io.log.warn(
    {},
    'no camera is configured and none is plugged in: name one in faced.yaml, or try faced run --source demo',
  );
  return [];
}

function onHangUp(listener: () => void): () => void {
  process.on('SIGHUP', listener);
  return () => process.off('SIGHUP', listener);
}

/** Whoever edits the file looks for these there in vain. */
function tellApart(settings: readonly string[], io: CommandIo): void {
  if (settings.length > 0)
    io.log.info(
      { settings },
      'changed over the page: settings.yaml in the state directory holds in place of the file',
    );
}

async function reload(daemon: Daemon, place: Settings, io: CommandIo): Promise<void> {
  try {
    const { config, apart, warnings } = loadConfig({
      path: place.configFile ?? undefined,
      settingsFile: settingsFile(place.stateDir),
      env: io.env,
    });
    for (const warning of warnings) io.log.warn({}, warning);
    tellApart(apart, io);
    io.setLogLevel(config.log.level);
    const needRestart = await daemon.reload(config);
    io.log.info(
      { needRestart },
      needRestart.length === 0 ? 'the configuration was read again' : 'some settings need a restart',
    );
  } catch (thrown) {
    const { code, message, fix } = FacedError.from(thrown);
    io.log.error({ code, fix }, `the configuration was not taken over: ${message}`);
  }
}

function sentence(event: RecognitionEvent): string {
  const time = new Date(event.time).toTimeString().slice(0, 8);
  const who = event.person?.name ?? event.decision;
  if (event.similarity === null || event.threshold === null) return `${time}  ${event.camera}  ${who}`;
  return `${time}  ${event.camera}  ${who}  similarity ${event.similarity.toFixed(2)} (threshold ${event.threshold.toFixed(2)})`;
}
