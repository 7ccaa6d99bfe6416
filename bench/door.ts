/**
 * From a face in front of the camera to the lock's line: `node dist/bench/door.js IMAGES [--trials 8] [--fps 15]
 * [--pace N] [--json]`. The camera gives `--fps` pictures a second; `--pace` of them are looked at (left out: faced's own pace).
 * IMAGES: photographs in the form of LFW (`Name/Name_0001.jpg`). The whole daemon runs, with the real models, store and
 * lock holder; the camera is a stream of pictures that this program writes at a camera's pace into a pipe, so it knows
 * when the first picture with the face left. The lock is the recorder, which writes the moment (CLOCK_MONOTONIC) at
 * which the line went high. The people are heads that turn and blink, drawn from photographs (test/helpers/liveness):
 * how long a real person takes to blink is not in these figures, and the passive model's vote is taken, not asked to be
 * high, because it does not call drawn heads alive.
 */
import { execFileSync } from 'node:child_process';
import { createWriteStream, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { camerasOf } from '../src/assemble.js';
import { loadConfig } from '../src/config/index.js';
import { startDaemon } from '../src/daemon.js';
import { createImage, encodeJpeg } from '../src/image/index.js';
import { FOR_PICTURES, ModelStore, modelsDir, openModels } from '../src/inference/index.js';
import { systemClock } from '../src/lib/clock.js';
import { createLogger } from '../src/lib/log.js';
import { framesOf } from '../test/helpers/liveness/clips.js';
import type { Portrait } from '../test/helpers/liveness/portrait.js';
import { portraitOf } from '../test/helpers/liveness/portraits.js';

const SHOWN_S = 4;
const EMPTY_S = 3;
const LIMIT_MS = { passive: 500, active: 3000 } as const;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    trials: { type: 'string', default: '8' },
    fps: { type: 'string', default: '15' },
    pace: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const [images] = positionals;
if (images === undefined) throw new Error('needs the folder of photographs');
const trials = Number(values.trials);
const FPS = Number(values.fps);

const { paths, clips } = await material(images);
const empty = pictureOfNobody();
const report = {
  fps: FPS,
  pace: values.pace === undefined ? 'default' : Number(values.pace),
  processors: cpus().length,
  load: loadavg()[0],
  passive: await measure('passive'),
  active: await measure('active'),
};
if (values.json) console.log(JSON.stringify(report));
else console.log(report);
// A reader of the pipe may hold a thread in its last read.
process.exit();

/** One photograph and one presentation, as JPEG frames, of each person. */
async function material(folder: string): Promise<{ paths: string[]; clips: Uint8Array[][] }> {
  const store = new ModelStore({ dir: modelsDir(), logger: createLogger('error') });
  const { detector } = await openModels({ store, detector: FOR_PICTURES });
  const paths: string[] = [];
  const portraits: Portrait[] = [];
  for (const name of readdirSync(folder).sort()) {
    if (portraits.length === trials) break;
    const path = join(folder, name, readdirSync(join(folder, name)).sort()[0] ?? '');
    const portrait = await portraitOf(path, detector);
    if (portrait === null) continue;
    portraits.push(portrait);
    paths.push(path);
  }
  const clips = portraits.map((subject, seed) =>
    [...framesOf('live-turn', { subject, other: subject }, { seed, fps: FPS, seconds: SHOWN_S })].map(
      (frame) => encodeJpeg(frame),
    ),
  );
  await store.releaseAll();
  return { paths, clips };
}

/** The wall behind, with the noise of a camera. */
function pictureOfNobody(): Uint8Array {
  const image = createImage(640, 480, 'bgr24');
  for (let at = 0; at < image.data.length; at++) image.data[at] = 90 + ((at * 2654435761) % 7);
  return encodeJpeg(image);
}

async function measure(liveness: 'passive' | 'active') {
  const dir = mkdtempSync(join(tmpdir(), 'faced-bench-door-'));
  const pipe = join(dir, 'camera');
  const record = join(dir, 'record');
  execFileSync('mkfifo', [pipe]);
  const file = join(dir, 'faced.yaml');
  writeFileSync(
    file,
    [
      `cameras: {porch: {source: "gstreamer:filesrc location=${pipe} ! multipartdemux single-stream=true ! jpegdec", trusted: door${values.pace === undefined ? '' : `, fps: ${Number(values.pace)}`}}}`,
      `doors: {front: {lock: {driver: recorder, file: ${record}}, cameras: [porch], modes: [face], pulse: 0.1, coolDown: ${SHOWN_S},`,
      `  sure: {liveness: ${liveness}, passiveScore: 0, quality: 0.1}}}`,
      'access: {groups: {all: []}, rules: [{name: all, doors: [all], groups: [all], when: always}]}',
      'mqtt: {embedded: {port: 0}}',
      'http: {enabled: false}',
    ].join('\n'),
  );
  const people = paths.map((_, index) => `person ${index}`);
  writeFileSync(file, readFileSync(file, 'utf8').replace('all: []', `all: ${JSON.stringify(people)}`));
  const { config } = loadConfig({ path: file, env: {} });
  const place = { config, stateDir: dir, modelsDir: modelsDir() };
  const stopping = new AbortController();
  const camera = createWriteStream(pipe);
  const show = async (jpeg: Uint8Array): Promise<number> => {
    const at = systemClock.monotonic();
    camera.write(`--picture\r\nContent-Type: image/jpeg\r\nContent-Length: ${jpeg.length}\r\n\r\n`);
    camera.write(jpeg);
    camera.write('\r\n');
    await pause(1000 / FPS);
    return at;
  };
  const nobody = async (seconds: number) => {
    for (let frame = 0; frame < seconds * FPS; frame++) await show(empty);
  };
  const daemon = await startDaemon(
    {
      ...place,
      cameras: camerasOf(config),
      log: createLogger('error'),
      env: {},
      onEvent: () => {},
      onFatal: (error) => {
        throw error;
      },
    },
    stopping.signal,
  );
  for (const [index, path] of paths.entries())
    await daemon.service.enroll({ name: people[index] ?? '', image: readFileSync(path), actor: 'bench' });
  await nobody(EMPTY_S);
  const latencies: number[] = [];
  let shut = 0;
  for (const clip of clips) {
    const before = opened(record).length;
    let first: number | undefined;
    for (const jpeg of clip) {
      const at = await show(jpeg);
      first ??= at;
    }
    await nobody(EMPTY_S + 1);
    const at = opened(record)[before];
    if (at === undefined || first === undefined) shut++;
    else latencies.push(at - first);
  }
  camera.destroy();
  await daemon.stop();
  rmSync(dir, { recursive: true, force: true });
  latencies.sort((a, b) => a - b);
  return {
    presentations: clips.length,
    opened: latencies.length,
    stayedShut: shut,
    medianMs: Math.round(latencies[Math.floor(latencies.length / 2)] ?? Number.NaN),
    worstMs: Math.round(latencies.at(-1) ?? Number.NaN),
    limitMs: LIMIT_MS[liveness],
    withinLimit: latencies.filter((ms) => ms <= LIMIT_MS[liveness]).length,
  };
}

/** The moments at which the line went high. */
function opened(record: string): number[] {
  return [...readFileSync(record, 'utf8').matchAll(/^(\d+) unlocked/gm)].map(([, ms]) => Number(ms));
}
