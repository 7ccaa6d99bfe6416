/**
 * Peak memory of an IResNet-50 shape (seeded weights, about 170 MB) whole and in shards:
 * `node dist/bench/models-shards.js DIR [SHARDS]`. Each measurement runs in a process of its own.
 */
import { spawnSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSession } from '../src/inference/raw-session.js';
import { ShardedModel } from '../src/inference/sharded.js';
import { encodeModel, floatTensor, loadModel, type Model, makeNode } from '../src/model-tools/graph/index.js';
import { splitModel } from '../src/model-tools/split.js';

const [dir, argument = '8', child] = process.argv.slice(2);
if (dir === undefined) throw new Error('name a folder for the files');

/** Deng et al. 2019: stem of 64, stages of 3, 4, 14, 3 blocks at 64, 128, 256, 512 channels, a product of 25088 to 512. */
function iresnet50(): Model {
  const initializers = new Map<string, ReturnType<typeof floatTensor>>();
  const nodes: ReturnType<typeof makeNode>[] = [];
  let state = 1;
  const weights = (count: number, fan: number): Float32Array =>
    Float32Array.from({ length: count }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      return ((state >>> 0) / 2 ** 31 - 1) * Math.sqrt(2 / fan);
    });
  let count = 0;
  const conv = (
    input: string,
    from: number,
    to: number,
    shape: { kernel: number; stride: number },
  ): string => {
    const output = `v${count++}`;
    const { kernel, stride } = shape;
    initializers.set(
      `${output}/w`,
      floatTensor([to, from, kernel, kernel], weights(to * from * kernel ** 2, from * kernel ** 2)),
    );
    const pad = kernel >> 1;
    nodes.push(
      makeNode('Conv', {
        inputs: [input, `${output}/w`],
        outputs: [output],
        attributes: {
          pads: { kind: 'ints', value: [pad, pad, pad, pad] },
          strides: { kind: 'ints', value: [stride, stride] },
        },
      }),
    );
    return output;
  };
  const prelu = (input: string, channels: number): string => {
    const output = `v${count++}`;
    initializers.set(`${output}/a`, floatTensor([channels, 1, 1], new Float32Array(channels).fill(0.25)));
    nodes.push(makeNode('PRelu', { inputs: [input, `${output}/a`], outputs: [output] }));
    return output;
  };
  let at = prelu(conv('input', 3, 64, { kernel: 3, stride: 1 }), 64);
  let channels = 64;
  for (const [width, blocks] of [
    [64, 3],
    [128, 4],
    [256, 14],
    [512, 3],
  ] as const) {
    for (let block = 0; block < blocks; block += 1) {
      const stride = block === 0 ? 2 : 1;
      const inner = prelu(conv(at, channels, width, { kernel: 3, stride: 1 }), width);
      const deep = conv(inner, width, width, { kernel: 3, stride });
      const side = block === 0 ? conv(at, channels, width, { kernel: 1, stride }) : at;
      const output = `v${count++}`;
      nodes.push(makeNode('Add', { inputs: [deep, side], outputs: [output] }));
      [at, channels] = [output, width];
    }
  }
  initializers.set('wg', floatTensor([512, 25088], weights(512 * 25088, 25088)));
  nodes.push(
    makeNode('Flatten', { inputs: [at], outputs: ['flat'] }),
    makeNode('Gemm', {
      inputs: ['flat', 'wg'],
      outputs: ['embedding'],
      attributes: { transB: { kind: 'int', value: 1 } },
    }),
  );
  return {
    irVersion: 7,
    opsets: new Map([['', 13]]),
    metadata: new Map(),
    graph: {
      name: 'iresnet50',
      nodes,
      initializers,
      inputs: [{ name: 'input', type: 'float32', dims: ['batch', 3, 112, 112] }],
      outputs: [{ name: 'embedding', type: 'float32', dims: ['batch', 512] }],
    },
  };
}

const input = {
  type: 'float32' as const,
  dims: [1, 3, 112, 112],
  data: new Float32Array(37632).map((_, at) => Math.sin(at)),
};
/** High-water mark of resident memory, kB (proc(5)). */
async function peak(): Promise<number> {
  return Number(/VmHWM:\s+(\d+)/.exec(await readFile('/proc/self/status', 'utf8'))?.[1]);
}

const file = join(dir, 'iresnet50.onnx');
if (child === 'whole') {
  const session = await createSession(argument, { arena: false });
  const answer = (await session.run({ input })).embedding ?? (await session.run({ input })).output;
  process.stdout.write(JSON.stringify({ peak: await peak(), first: answer?.data[0] }));
} else if (child === 'shards') {
  const answer = await (await ShardedModel.open(argument)).run(input);
  process.stdout.write(JSON.stringify({ peak: await peak(), first: answer.data[0] }));
} else {
  await mkdir(dir, { recursive: true });
  await writeFile(file, encodeModel(iresnet50()));
  const measure = (how: string, path: string): { peak: number } =>
    JSON.parse(
      spawnSync(process.execPath, [import.meta.filename, dir, path, how], { encoding: 'utf8' }).stdout ||
        '{"peak":NaN}',
    ) as { peak: number };
  const whole = measure('whole', file);
  console.log(`whole: ${(whole.peak / 1024).toFixed(0)} MB`);
  for (const shards of [...new Set([2, 4, Number(argument), 16])]) {
    const out = join(dir, `shards-${shards}`);
    await mkdir(out, { recursive: true });
    const { plan, files } = await splitModel(await loadModel(file), shards);
    for (const [name, bytes] of files) await writeFile(join(out, name), bytes);
    await writeFile(join(out, 'shards.json'), JSON.stringify(plan));
    const { peak: part } = measure('shards', out);
    const share = ((100 * part) / whole.peak).toFixed(0);
    console.log(`${plan.shards.length} shards: ${(part / 1024).toFixed(0)} MB, ${share} % of the whole`);
  }
}
