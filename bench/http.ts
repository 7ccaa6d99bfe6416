/**
 * The HTTP interface under load: `node dist/bench/http.js [SECONDS]`. A daemon watches a clip at its own pace while
 * one client, then eight, ask who is in a 640x480 picture, and three people watch live. Needs the models and the demo's
 * photographs (`faced model fetch`). Prints one JSON document.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createImage, decode, encodeJpeg, resizeInto, VideoWriter } from '../src/image/index.js';
import { FOR_PICTURES, ModelStore, modelsDir, openModels } from '../src/inference/index.js';
import { ImageAnalyser } from '../src/pipeline/analyse.js';

const ROOT = join(import.meta.dirname, '..', '..');
const SECONDS = Number(process.argv[2] ?? 60);
const FPS = 15;
const CLIENTS = 8;
const WATCHERS = 3;

const dir = mkdtempSync(join(tmpdir(), 'faced-bench-http-'));
const env = { ...process.env, FACED_STATE_DIR: dir, FACED_HTTP_PORT: '0', FACED_MQTT_EMBEDDED_PORT: '0' };
const picture = encodeJpeg(scene(0));
const clip = join(dir, 'clip.avi');
writeClip(clip, 2 * SECONDS + 60);

/** A photograph with a face, moved a little, 640x480. */
function scene(index: number) {
  const photo = decode(readFileSync(join(modelsDir(), 'demo', 'sample1.jpg')));
  const frame = createImage(640, 480, 'bgr24');
  const sway = Math.sin(index / 8) * 20;
  const height = photo.height * 0.9;
  resizeInto(photo, frame, { roi: { x: sway + 20, y: 10, width: (height * 4) / 3, height } });
  return frame;
}

function writeClip(path: string, seconds: number): void {
  const frames = Array.from({ length: 100 }, (_, index) => scene(index));
  const writer = new VideoWriter(path, { width: 640, height: 480, fps: FPS });
  for (let index = 0; index < seconds * FPS; index++) {
    const frame = frames[index % frames.length];
    if (frame !== undefined) writer.write(frame);
  }
  writer.close();
}

function quantile(times: readonly number[], share: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  return Number(
    (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN).toFixed(2),
  );
}

async function startDaemon(argv: readonly string[]) {
  const child = spawn(join(ROOT, 'bin', 'faced'), ['run', ...argv], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk) => (said += String(chunk)));
  while (!/the HTTP interface is open/.test(said)) await pause(50);
  const base = /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0] ?? '';
  return { child, base };
}

function makeToken(): string {
  const made = spawnSync(join(ROOT, 'bin', 'faced'), ['token', 'create', '--scope', 'admin', '--json'], {
    env,
  });
  return (JSON.parse(made.stdout.toString()) as { token: string }).token;
}

async function metric(base: string, name: string): Promise<number> {
  const text = await (await fetch(`${base}/metrics`)).text();
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? ([\\d.e+-]+)$`, 'm').exec(text)?.[1]);
}

/** Frames that were looked at each second while `work` runs. */
async function pace(base: string, work: () => Promise<unknown>): Promise<number> {
  const name = 'faced_frames_processed_total';
  const [before, startedAt] = [await metric(base, name), performance.now()];
  await work();
  // The counters come with the worker's sign of life, once a second.
  return Number(
    (((await metric(base, name)) - before) / ((performance.now() - startedAt) / 1000)).toFixed(2),
  );
}

async function ask(base: string, token: string): Promise<{ status: number; ms: number }> {
  const startedAt = performance.now();
  const response = await fetch(`${base}/v1/recognize`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'image/jpeg' },
    body: Buffer.from(picture),
  });
  await response.arrayBuffer();
  return { status: response.status, ms: performance.now() - startedAt };
}

async function askFor(seconds: number, base: string, token: string) {
  const answers: { status: number; ms: number }[] = [];
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    const answer = await ask(base, token);
    answers.push(answer);
    // What Retry-After asks for, shortened so that the queue stays full.
    if (answer.status === 429) await pause(20);
  }
  return answers;
}

/** Milliseconds of CPU of a process and its children. */
function cpuMs(pid: number): number {
  const children = spawnSync('pgrep', ['-P', String(pid)])
    .stdout.toString()
    .split('\n')
    .filter(Boolean);
  return [String(pid), ...children].reduce((sum, one) => {
    const fields = readFileSync(`/proc/${one}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return sum + (Number(fields[11]) + Number(fields[12])) * 10;
  }, 0);
}

async function watchFor(seconds: number, base: string, token: string): Promise<number> {
  const abort = new AbortController();
  const response = await fetch(`${base}/v1/cameras/camera/live`, {
    headers: { authorization: `Bearer ${token}` },
    signal: abort.signal,
  });
  let pictures = 0;
  const timer = setTimeout(() => abort.abort(), seconds * 1000);
  try {
    for await (const chunk of response.body ?? [])
      pictures += Buffer.from(chunk).toString('latin1').split('Content-Length').length - 1;
  } catch {
    // The time is over.
  }
  clearTimeout(timer);
  return pictures / seconds;
}

/**
 * Milliseconds of the pipeline itself, without HTTP and without a camera beside it, and of the same picture over HTTP on an
 * idle daemon: in turns, so that both meet the same machine.
 */
async function alone(token: string): Promise<{ pipelineMs: number; httpMs: number; ratio: number }> {
  const store = new ModelStore({ dir: modelsDir() });
  const { detector, embedder, liveness } = await openModels({
    ...{ store, models: { liveness: 'minifasnet' }, detector: FOR_PICTURES },
  });
  const analyser = new ImageAnalyser(
    liveness === null ? { detector, embedder } : { detector, embedder, liveness },
  );
  const { child, base } = await startDaemon([]);
  const [pipeline, http]: [number[], number[]] = [[], []];
  for (let round = 0; round < 120; round++) {
    const startedAt = performance.now();
    await analyser.analyse(decode(picture));
    pipeline.push(performance.now() - startedAt);
    http.push((await ask(base, token)).ms);
  }
  child.kill('SIGTERM');
  await new Promise((resolve) => child.once('exit', resolve));
  await store.releaseAll();
  const [pipelineMs, httpMs] = [quantile(pipeline.slice(20), 0.5), quantile(http.slice(20), 0.5)];
  return { pipelineMs, httpMs, ratio: Number((httpMs / pipelineMs).toFixed(3)) };
}

try {
  const token = makeToken();
  const recognize = await alone(token);
  const { child, base } = await startDaemon(['--source', `file:${clip}?pace=real`]);
  await pause(3000);
  const quiet = await pace(base, () => pause(10_000));
  let answers: { status: number; ms: number }[] = [];
  const loaded = await pace(base, async () => {
    answers = (await Promise.all(Array.from({ length: CLIENTS }, () => askFor(SECONDS, base, token)))).flat();
  });
  const pid = child.pid ?? 0;
  const cpuOf = async (work: () => Promise<unknown>) => {
    const [before, startedAt] = [cpuMs(pid), performance.now()];
    await work();
    return (cpuMs(pid) - before) / (performance.now() - startedAt);
  };
  const unwatched = await cpuOf(() => pause(8000));
  let pictures: number[] = [];
  const watched = await cpuOf(async () => {
    pictures = await Promise.all(Array.from({ length: WATCHERS }, () => watchFor(8, base, token)));
  });
  const rss = await metric(base, 'faced_resident_memory_bytes');
  child.kill('SIGTERM');
  const good = answers.filter(({ status }) => status === 200).map(({ ms }) => ms);
  const other = answers.filter(({ status }) => status !== 200 && status !== 429).length;
  console.log(
    JSON.stringify({
      recognize,
      load: {
        ...{
          clients: CLIENTS,
          seconds: SECONDS,
          answered: good.length,
          refused429: answers.length - good.length - other,
        },
        ...{ otherErrors: other, p50Ms: quantile(good, 0.5), p99Ms: quantile(good, 0.99) },
      },
      camera: { fpsQuiet: quiet, fpsLoaded: loaded, kept: Number((loaded / quiet).toFixed(3)) },
      live: {
        ...{ watchers: WATCHERS, picturesASecondEach: pictures.map((one) => Number(one.toFixed(1))) },
        ...{ coreShareUnwatched: Number(unwatched.toFixed(3)), coreShareWatched: Number(watched.toFixed(3)) },
        coreShareOfWatching: Number((watched - unwatched).toFixed(3)),
      },
      residentMb: Math.round(rss / 2 ** 20),
    }),
  );
} finally {
  rmSync(dir, { recursive: true, force: true });
}
