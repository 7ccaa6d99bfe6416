// For check-arm64.sh, on the processor that is checked, with the package's own code:
//   node check-embed.js MODELS CROPS INT8     compares embeddings with stored FP32 answers, prints one JSON object
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ModelStore } from '../../dist/src/inference/index.js';
import { createSession } from '../../dist/src/inference/raw-session.js';
import {
  answersOf,
  fillProbes,
  leastCosine,
  PROBES,
  storedAnswers,
} from '../../dist/src/inference/stored-answers.js';
import { feedOf } from '../../dist/src/model-tools/feed.js';

const [models, cropsFile, int8] = process.argv.slice(2);
const floats = (text) => new Float32Array(Uint8Array.from(Buffer.from(text, 'base64')).buffer);
const crops = JSON.parse(readFileSync(cropsFile, 'utf8')).slice(0, 8);

async function probes(variants) {
  const store = new ModelStore({ dir: models, variants });
  const { card } = await store.card('mobilefacenet');
  const runner = await store.runner('mobilefacenet');
  const all = new Float32Array(PROBES * runner.stride);
  fillProbes(all, card);
  const answers = [];
  for (let at = 0; at < PROBES; at++) {
    runner.input.set(all.subarray(at * runner.stride, (at + 1) * runner.stride));
    answers.push(...answersOf(card, await runner.run(1), 1));
  }
  const [{ variant }] = (await store.list()).filter((one) => one.card.id === 'mobilefacenet');
  const cosine = leastCosine(await storedAnswers(card), answers);
  await store.releaseAll();
  return { cosine, card, variant };
}

async function faces(path, card) {
  const session = await createSession(path);
  const cosines = [];
  for (const { crop, embedding } of crops) {
    const [answer] = Object.values(await session.run(feedOf(session, card, Buffer.from(crop, 'base64'))));
    cosines.push(leastCosine([floats(embedding)], [new Float32Array(answer.data)]));
  }
  return { least: Math.min(...cosines), mean: cosines.reduce((a, b) => a + b, 0) / cosines.length };
}

const stock = await probes(false);
const optimised = await probes(true);
console.log(
  JSON.stringify({
    arch: process.arch,
    node: process.version,
    storedAnswers: stock.cosine,
    optimised: optimised.variant === null ? null : optimised.cosine,
    fp32: await faces(join(models, 'mobilefacenet.onnx'), stock.card),
    int8: await faces(int8, stock.card),
  }),
);
