import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { engineHeader, HEADER_BYTES, KINDS } from '../../src/inference/engine-wire.js';
import { batch, engineDir, RawEngine, startEngine, withoutEngine } from '../helpers/engine.js';

/** FUZZ_SHOTS=5000 FACED_ENGINE_SANITIZE=1 for the long run, with sanitizers in the server. */
const SEED = process.env.FUZZ_SEED;
const SHOTS = Number(process.env.FUZZ_SHOTS ?? 100);
const STRIDE = 3 * 112 * 112;
const CODES = ['bad-frame', 'bad-version', 'bad-size', 'bad-order', 'bad-kind', 'bad-input', 'run-failed'];

/** One frame: often a right one, then bent. */
const frames = fc.record({
  kind: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(KINDS.run, KINDS.run, ...Object.values(KINDS)) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xffff }) },
  ),
  id: fc.integer({ min: 0, max: 0xffffffff }),
  /** null: as many as are sent. */
  count: fc.oneof(
    { weight: 4, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 4 }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xffffffff }) },
  ),
  /** Pictures that are really sent, and bytes more or fewer. */
  pictures: fc.integer({ min: 0, max: 3 }),
  extra: fc.oneof(
    { weight: 3, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: -5, max: 70 }) },
  ),
  value: fc.oneof(fc.float(), fc.constantFrom(0, 3e38, Number.NaN)),
  /** Bytes of the header that are overwritten. */
  bent: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    {
      weight: 1,
      arbitrary: fc.array(fc.tuple(fc.nat(HEADER_BYTES - 1), fc.nat(255)), { minLength: 1, maxLength: 2 }),
    },
  ),
});
const shots = fc.record({
  greets: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
  frames: fc.array(frames, { minLength: 1, maxLength: 3 }),
  /** Where the bytes are cut into pieces, and how many are sent at all. */
  cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 3 }),
  sent: fc.oneof(
    { weight: 3, arbitrary: fc.constant(1) },
    { weight: 1, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) },
  ),
});
type Shot = typeof shots extends fc.Arbitrary<infer T> ? T : never;

function bytesOf(shot: Shot): Buffer {
  const parts = shot.greets ? [engineHeader(KINDS.hello, 1, 0)] : [];
  for (const { kind, id, count, pictures, extra, value, bent } of shot.frames) {
    const whole = batch(count ?? pictures, new Float32Array(pictures * STRIDE).fill(value));
    const body =
      kind === KINDS.run
        ? Buffer.concat([whole, Buffer.alloc(Math.max(0, extra))]).subarray(0, whole.length + extra)
        : Buffer.alloc(Math.max(0, extra));
    const header = engineHeader(kind, id, body.length);
    for (const [at, byte] of bent) header[at] = byte;
    parts.push(header, body);
  }
  const all = Buffer.concat(parts);
  return all.subarray(0, Math.round(all.length * shot.sent));
}

test('random and bent frames break nothing, and nobody else is disturbed', {
  skip: withoutEngine(),
}, async (t) => {
  const at = await engineDir(t);
  // Half frames are given up soon; the bystander, who waits longer between questions, is not.
  const server = await startEngine(t, at, '--patience', '100', '--max-clients', '4');
  const bystander = await RawEngine.open(t, at.socket);
  assert.equal((await bystander.ask(KINDS.hello, 1))?.kind, KINDS.hello);
  const seen = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(shots, async (shot) => {
      const bytes = bytesOf(shot);
      const raw = await RawEngine.open(t, at.socket);
      const places = [0, ...shot.cuts.map((cut) => Math.round(cut * bytes.length)).sort((a, b) => a - b)];
      for (const [index, from] of places.entries()) {
        raw.socket.write(bytes.subarray(from, places[index + 1] ?? bytes.length));
        await new Promise(setImmediate);
      }
      // The end of what is sent: the server answers what was whole, and then closes.
      raw.socket.end();
      for (let frame = await raw.next(); frame !== null; frame = await raw.next()) {
        const name =
          frame.kind === KINDS.error
            ? String((JSON.parse(String(frame.body)) as { code: unknown }).code)
            : String(frame.kind);
        seen.set(name, (seen.get(name) ?? 0) + 1);
        if (frame.kind === KINDS.error) assert.ok(CODES.includes(name), name);
      }
      assert.equal((await bystander.ask(KINDS.health, 2))?.kind, KINDS.health);
      assert.equal(server.child.exitCode, null, server.said());
    }),
    { numRuns: SHOTS, endOnFailure: true, ...(SEED === undefined ? {} : { seed: Number(SEED) }) },
  );
  t.diagnostic(JSON.stringify(Object.fromEntries(seen)));
  for (const kind of [KINDS.hello, KINDS.run, KINDS.health])
    assert.ok((seen.get(String(kind)) ?? 0) > 0, `no answer of kind ${kind}`);
  assert.ok((seen.get('bad-size') ?? 0) > 0);
  // A sanitizer's word, or a stop that is not clean, is a failure of the server.
  assert.equal(await server.kill('SIGTERM'), 0, server.said());
  assert.doesNotMatch(server.said(), /Sanitizer|runtime error/);
});
