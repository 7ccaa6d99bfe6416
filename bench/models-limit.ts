/**
 * A large recogniser (an IResNet-50 shape with seeded weights, about 174 MB) and MobileFaceNet, whole and in 8 shards, under
 * limits of a real control group: `sudo node dist/bench/models-limit.js DIR [MB…]`. The answers are compared.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { modelsDir } from '../src/inference/model-dir.js';
import type { SessionTensor } from '../src/inference/raw-session.js';
import { encodeModel, loadModel } from '../src/model-tools/graph/index.js';
import { cosineDistance } from '../src/model-tools/optimize.js';
import { splitModel } from '../src/model-tools/split.js';
import { IRESNET50, iresnet } from './iresnet.js';
import { noLimits, probeUnderLimit, readAnswer } from './memory-limit.js';

const MB = 2 ** 20;
const [dir, ...limits] = process.argv.slice(2);
if (dir === undefined) throw new Error('name a folder for the files');
const reason = noLimits();
if (reason !== null) throw new Error(reason);
await mkdir(dir, { recursive: true });
const large = join(dir, 'iresnet50.onnx');
await writeFile(large, encodeModel(iresnet(IRESNET50)));
await table('IResNet-50', large, limits.length > 0 ? limits.map(Number) : [2000, 350, 250]);
await table('MobileFaceNet', join(modelsDir(), 'mobilefacenet.onnx'), [2000]);

async function table(name: string, model: string, megabytes: readonly number[]): Promise<void> {
  const folder = join(dir ?? '', `${name}.shards`);
  await mkdir(folder, { recursive: true });
  const { plan, files } = await splitModel(await loadModel(model), 8);
  for (const [file, bytes] of files) await writeFile(join(folder, file), bytes);
  await writeFile(join(folder, 'shards.json'), JSON.stringify(plan));
  let expected: SessionTensor | null = null;
  for (const limit of megabytes) {
    for (const [how, path] of [
      ['model', model],
      ['shards', folder],
    ] as const) {
      const file = join(dir ?? '', 'answer.bin');
      await rm(file, { force: true });
      const { killed, signal, code, groupPeak, ms, stdout } = await probeUnderLimit(limit * MB, [
        how,
        path,
        file,
      ]);
      const what = `${name} ${how === 'model' ? 'whole' : 'in 8 shards'}, limit ${limit} MB:`;
      const figures = `the group had at most ${(groupPeak / MB).toFixed(0)} MB, ${(ms / 1000).toFixed(1)} s`;
      if (code !== 0) {
        console.log(
          `${what} ${killed ? 'killed by the kernel' : `ended with ${signal ?? code}`}, ${figures}`,
        );
        continue;
      }
      const answer = readAnswer(file);
      expected ??= answer;
      const peak = (JSON.parse(stdout) as { peakBytes: number }).peakBytes / MB;
      const distance = cosineDistance(expected, answer).toExponential(1);
      console.log(
        `${what} completes, resident at most ${peak.toFixed(0)} MB, ${figures}, 1 − cosine ${distance}`,
      );
    }
  }
}
