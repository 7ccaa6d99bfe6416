import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pause } from '../../src/pipeline/pause.js';

test('of a pause and its end that come together the last one holds, each written down before it does', async () => {
  const said: string[] = [];
  const pause = new Pause({
    store: {
      audit: async ({ kind }) => {
        await new Promise((resolve) => setImmediate(resolve));
        said.push(kind);
      },
    },
    onChange: (paused) => said.push(paused ? 'paused' : 'on'),
  });
  await Promise.all([pause.set(true, 'mqtt'), pause.set(false, 'mqtt')]);
  assert.equal(pause.paused, false);
  assert.deepEqual(said, ['recognition-paused', 'paused', 'recognition-resumed', 'on']);
});
