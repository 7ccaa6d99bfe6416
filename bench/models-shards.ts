/**
 * Peak memory of an IResNet-50 shape (seeded weights, about 174 MB) whole and in shards, and of MobileFaceNet likewise:
 * `node dist/bench/models-shards.js DIR`. Each measurement runs in a process of its own.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { modelsDir } from '../src/inference/model-dir.js';
import { encodeModel, loadModel } from '../src/model-tools/graph/index.js';
import { measureMemory, megabytes } from '../src/model-tools/memory.js';
import { splitModel } from '../src/model-tools/split.js';
import { IRESNET50, iresnet } from './iresnet.js';

const [dir] = process.argv.slice(2);
if (dir === undefined) throw new Error('name a folder for the files');
await mkdir(dir, { recursive: true });
const large = join(dir, 'iresnet50.onnx');
await writeFile(large, encodeModel(iresnet(IRESNET50)));
console.log(`no model: ${megabytes((await measureMemory('nothing')).peakBytes)}`);
await compare('IResNet-50', large, { counts: [2, 4, 8, 16], rows: true });
await compare('IResNet-50, whole layers', large, { counts: [4, 8, 16], rows: false });
await compare('MobileFaceNet', join(modelsDir(), 'mobilefacenet.onnx'), { counts: [2, 4, 8], rows: true });

async function compare(
  name: string,
  file: string,
  how: { counts: readonly number[]; rows: boolean },
): Promise<void> {
  const whole = (await measureMemory({ model: file })).peakBytes;
  console.log(`${name}, whole: ${megabytes(whole)}`);
  for (const count of how.counts) {
    const out = join(dir ?? '', `${name.replaceAll(/\W+/g, '-')}-${count}`);
    await mkdir(out, { recursive: true });
    const { plan, files } = await splitModel(await loadModel(file), count, { rows: how.rows });
    for (const [part, bytes] of files) await writeFile(join(out, part), bytes);
    await writeFile(join(out, 'shards.json'), JSON.stringify(plan));
    const { peakBytes } = await measureMemory({ shards: out });
    const share = ((100 * peakBytes) / whole).toFixed(0);
    console.log(`${name}, ${plan.shards.length} shards: ${megabytes(peakBytes)}, ${share} % of the whole`);
  }
}
