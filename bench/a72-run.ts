/** What `bench/a72.sh` counts: `node dist/bench/a72-run.js MODEL RUNS` runs a model on noise, one picture at a time. */
import { createSession, type SessionTensor } from '../src/inference/raw-session.js';

const [path = '', runs = '1'] = process.argv.slice(2);
const session = await createSession(path);
const feeds: Record<string, SessionTensor> = {};
for (const { name, type, shape } of session.inputs) {
  const dims = shape.map((dim) => (typeof dim === 'number' ? dim : 1));
  const count = dims.reduce((product, dim) => product * dim, 1);
  feeds[name] =
    type === 'uint8'
      ? { type, dims, data: Uint8Array.from({ length: count }, (_, at) => (at * 7919) % 256) }
      : { type: 'float32', dims, data: Float32Array.from({ length: count }, (_, at) => Math.sin(at * 0.37)) };
}
for (let run = 0; run < Number(runs); run += 1) await session.run(feeds);
// Under emulation the teardown of ONNX Runtime's threads is not reliable, and nothing is left to be saved.
process.exit(0);
