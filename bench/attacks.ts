/**
 * Presentation attack detection in the terms of ISO/IEC 30107-3: attack presentations made from photographs, bona fide
 * ones made from photographs and from films, each through the test that `faced liveness` and a camera make.
 *
 * `node dist/bench/attacks.js IMAGES [--each 60] [--live DIR] [--attack DIR] [--docs docs] [--first 0] [--out FILE]`
 * IMAGES: photographs in the form of LFW (`Name/Name_0001.jpg`). DIR: clips of your own, each a file or a folder of frames;
 * films longer than 6 s are cut into presentations of 3 s. Prints one JSON line for each kind; `--docs` writes the table
 * and the picture of docs/liveness.md. `--out` keeps each presentation's signs as NDJSON; `--from FILE…` takes such files
 * (of runs over some `--kinds` each) in place of new presentations.
 */
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readClip } from '../src/camera/clip.js';
import type { Image } from '../src/domain/frame.js';
import { createImage } from '../src/image/index.js';
import { type FaceModels, FOR_PICTURES, ModelStore, modelsDir, openModels } from '../src/inference/index.js';
import { createLogger } from '../src/lib/log.js';
import { ClipLife, type ClipVerdict } from '../src/pipeline/clip-life.js';
import type { FaceDetector } from '../src/pipeline/ports.js';
import { ATTACKS, type ClipKind, framesOf, LIVE } from '../test/helpers/liveness/clips.js';
import type { Portrait } from '../test/helpers/liveness/portrait.js';
import { portraitOf } from '../test/helpers/liveness/portraits.js';
import { chart, type KindResult, summary, table } from './attacks-report.js';

/** A camera at a door gives some 10 to 15 frames a second. */
const FPS = 12;
const SECONDS = 3;
/** A film of somebody is cut into presentations, and a rest that is shorter than this is left out. */
const LEAST_MS = 2500;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    each: { type: 'string', default: '60' },
    first: { type: 'string', default: '0' },
    kinds: { type: 'string' },
    live: { type: 'string' },
    attack: { type: 'string' },
    docs: { type: 'string' },
    out: { type: 'string' },
    from: { type: 'string', multiple: true },
  },
});
const images = positionals[0] ?? '';
if (images === '' && values.from === undefined) throw new Error('needs the folder of photographs');
const each = Number(values.each);
const first = Number(values.first);
const log = createLogger('error');
const store = new ModelStore({ dir: modelsDir(), logger: log });
const models = await openModels({ store, models: { liveness: 'minifasnet' } });
const forPictures = await openModels({ store, detector: FOR_PICTURES });
const signal = new AbortController().signal;
const results: KindResult[] = [];

for (const [kind, verdicts] of kept(values.from ?? [])) say(kind, isLiveKind(kind), verdicts);
for (const kind of values.from === undefined ? chosenKinds() : []) {
  const verdicts: ClipVerdict[] = [];
  for (let seed = first; seed < first + each; seed++) {
    const cast = { subject: await someone(images, seed), other: await someone(images, seed + 1009) };
    verdicts.push(await present(framesOf(kind, cast, { seed, fps: FPS, seconds: SECONDS }), models));
  }
  say(kind, isLiveKind(kind), verdicts);
}
for (const [folder, isLive] of [
  [values.live, true],
  [values.attack, false],
] as const) {
  if (folder === undefined) continue;
  for (const name of readdirSync(folder).sort()) {
    if (name.startsWith('.')) continue;
    say(
      `${isLive ? 'own live' : 'own attack'}: ${name.replace(/\.[a-z0-9]+$/i, '')}`,
      isLive,
      await presentations(join(folder, name), models),
    );
  }
}
await store.releaseAll();
if (values.docs !== undefined) {
  writeFileSync(join(values.docs, 'liveness.svg'), chart(results));
  const page = join(values.docs, 'liveness.md');
  const marks = /(<!-- bench -->\n)[\s\S]*?(<!-- \/bench -->)/;
  const text = readFileSync(page, 'utf8');
  if (!marks.test(text)) throw new Error(`${page} has no place for the table`);
  writeFileSync(
    page,
    text.replace(marks, (_, open: string, close: string) => `${open}${table(results)}\n${close}`),
  );
}

function isLiveKind(kind: string): boolean {
  return (LIVE as readonly string[]).includes(kind) || kind.startsWith('own live');
}

function kept(files: readonly string[]): Map<string, ClipVerdict[]> {
  const byKind = new Map<string, ClipVerdict[]>();
  for (const line of files.flatMap((file) => readFileSync(file, 'utf8').trim().split('\n'))) {
    const { kind, ...verdict } = JSON.parse(line) as ClipVerdict & { kind: string };
    byKind.set(kind, [...(byKind.get(kind) ?? []), verdict]);
  }
  return byKind;
}

function chosenKinds(): readonly ClipKind[] {
  const all: readonly ClipKind[] = [...ATTACKS, ...LIVE];
  const wanted = values.kinds?.split(',');
  return wanted === undefined ? all : all.filter((kind) => wanted.includes(kind));
}

function say(kind: string, isLive: boolean, verdicts: readonly ClipVerdict[]): void {
  const result: KindResult = { kind, isLive, verdicts };
  results.push(result);
  process.stdout.write(`${JSON.stringify(summary(result))}\n`);
  if (values.out === undefined) return;
  for (const one of verdicts) appendFileSync(values.out, `${JSON.stringify({ kind, ...one })}\n`);
}

/** Somebody of the set by number, the next one when a photograph shows no single face. */
async function someone(folder: string, number: number): Promise<Portrait> {
  const people = readdirSync(folder).sort();
  for (let step = 0; ; step++) {
    const name = people[(number * 37 + step * 11) % people.length] ?? '';
    const [photograph] = readdirSync(join(folder, name)).sort();
    if (photograph === undefined) continue;
    const portrait = await portraitOf(join(folder, name, photograph), forPictures.detector as FaceDetector);
    if (portrait !== null) return portrait;
  }
}

async function present(
  frames: Iterable<Image>,
  { detector, liveness: scorer }: FaceModels,
): Promise<ClipVerdict> {
  const life = new ClipLife({ detector, scorer });
  let index = 0;
  for (const image of frames) await life.see(image, (index++ * 1000) / FPS);
  return life.verdict({ mode: 'active', minimum: 0.5 });
}

/** A film, cut into presentations. */
async function presentations(
  path: string,
  { detector, liveness: scorer }: FaceModels,
): Promise<ClipVerdict[]> {
  const verdicts: ClipVerdict[] = [];
  let life = new ClipLife({ detector, scorer });
  let [begun, last] = [0, 0];
  const end = () => {
    if (last - begun >= LEAST_MS || verdicts.length === 0)
      verdicts.push(life.verdict({ mode: 'active', minimum: 0.5 }));
    life = new ClipLife({ detector, scorer });
    begun = last;
  };
  for await (const { image, ms } of readClip(path, { log, signal })) {
    last = ms;
    if (ms - begun >= SECONDS * 1000) end();
    await life.see(copyOf(image), ms - begun);
  }
  end();
  return verdicts;
}

function copyOf(image: Image): Image {
  const copy = createImage(image.width, image.height, image.format);
  copy.data.set(image.data);
  return copy;
}
