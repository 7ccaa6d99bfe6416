/**
 * A process of its own that loads a model, runs it once on noise and says how much memory it had at most:
 * `node memory-probe.js model FILE`, `node memory-probe.js shards DIR`, or `node memory-probe.js nothing`. A third argument is
 * a file that takes the answer's bytes (the first output).
 */
import { readFile, writeFile } from 'node:fs/promises';
import { createSession, type SessionTensor } from '../inference/raw-session.js';
import { ShardedModel } from '../inference/sharded.js';
import { elementCount } from './graph/tensor.js';

const [kind, path = '', answerFile] = process.argv.slice(2);
if (kind === 'model') {
  // Without its arena ONNX Runtime holds what the model needs and no more, as shards are run too.
  const session = await createSession(path, { arena: false });
  const answers = await session.run(
    Object.fromEntries(session.inputs.map(({ name, type, shape }) => [name, noise(type, shape)])),
  );
  await keep(Object.values(answers)[0]);
} else if (kind === 'shards') {
  const sharded = await ShardedModel.open(path);
  await keep(await sharded.run(noise('float32', sharded.inputShape)));
}
process.stdout.write(`${JSON.stringify({ peakBytes: await peak() })}\n`);
// Whatever else the libraries would do at their end is of no interest.
process.exit(0);

async function keep(answer: SessionTensor | undefined): Promise<void> {
  if (answerFile !== undefined && answer !== undefined) await writeFile(answerFile, answer.data);
}

function noise(type: string, shape: readonly (number | string | null)[]): SessionTensor {
  const dims = shape.map((dim) => (typeof dim === 'number' && dim > 0 ? dim : 1));
  const wave = Float32Array.from({ length: elementCount(dims) }, (_, at) => Math.sin(at * 0.37));
  if (type === 'uint8') return { type, dims, data: Uint8Array.from(wave, (value) => 127 + 127 * value) };
  return { type: 'float32', dims, data: wave };
}

/** The high-water mark of resident memory (proc(5)); `ru_maxrss` would carry over that of the process which began this one. */
async function peak(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  const kilobytes = /VmHWM:\s+(\d+)/.exec(status)?.[1];
  return 1024 * Number(kilobytes ?? process.resourceUsage().maxRSS);
}
