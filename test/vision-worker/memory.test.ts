import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Vision } from '../../src/pipeline/ports.js';
import { readPhoto } from '../pipeline/clips.js';
import { openVision, withoutModels } from '../pipeline/watch.js';

const skip = withoutModels();

/** Resolves with the loads and evictions of all models up to the beat that `enough` is content with. */
function counted(vision: Vision, enough: (sum: { loads: number; evictions: number }) => boolean) {
  return new Promise<{ loads: number; evictions: number }>((resolve) => {
    const sum = { loads: 0, evictions: 0 };
    const off = vision.on('beat', ({ models }) => {
      for (const { loads, evictions } of Object.values(models)) {
        sum.loads += loads;
        sum.evictions += evictions;
      }
      if (!enough(sum)) return;
      off();
      resolve(sum);
    });
  });
}

test('critical memory: idle models are let go, a picture is still answered the same, and they come back', {
  skip,
}, async (t) => {
  const vision = openVision(t, [], { isolation: 'thread' });
  const loaded = counted(vision, ({ loads }) => loads >= 3);
  await vision.start(AbortSignal.timeout(60_000));
  await loaded;
  const before = await vision.analyse(readPhoto('Alec_Baldwin', 2), { embedPoor: true });
  const gone = counted(vision, ({ evictions }) => evictions >= 3);
  vision.memory(2);
  assert.equal((await gone).loads, 0);
  const back = counted(vision, ({ loads }) => loads >= 3);
  const after = await vision.analyse(readPhoto('Alec_Baldwin', 2), { embedPoor: true });
  assert.deepEqual(after.faces[0]?.embedding, before.faces[0]?.embedding);
  assert.ok(after.faces[0]?.embedding);
  await back;
  const goneAgain = counted(vision, ({ evictions }) => evictions >= 3);
  await goneAgain;
  const warm = counted(vision, ({ loads }) => loads >= 3);
  vision.memory(0);
  await warm;
});
