import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FacedError } from '../../src/domain/errors.js';
import { PromiseKeeper } from '../../src/pipeline/promise.js';

function keeperOf(gallery: { samples: number }) {
  return new PromiseKeeper({
    store: {
      counts: async () => ({ version: 1, people: gallery.samples, samples: gallery.samples, otherSpaces: 0 }),
    },
    space: 'test',
    settings: { strangersPerThousand: 1, margin: 0.05, livenessMinimum: null },
    thresholdFor: ({ samples, strangersPerThousand }) => {
      if (strangersPerThousand / samples < 0.1) throw new FacedError('promise.unmeasured', 'never measured');
      return 0.3 + samples / 100;
    },
  });
}

test('the threshold follows the gallery, and what would break the promise is not allowed', async () => {
  const gallery = { samples: 2 };
  const keeper = keeperOf(gallery);
  await keeper.refresh();
  assert.equal(keeper.policy().threshold, 0.32);
  gallery.samples = 5;
  await keeper.refresh();
  assert.equal(keeper.policy().threshold, 0.35);
  await keeper.allow({ people: 1, samples: 5 });
  await assert.rejects(keeper.allow({ people: 1, samples: 6 }), { code: 'promise.unmeasured' });
});

test('a gallery too large for its promise can be made smaller, but nothing is decided meanwhile', async () => {
  const gallery = { samples: 20 };
  const keeper = keeperOf(gallery);
  await keeper.refresh();
  assert.equal(keeper.counts().samples, 20);
  assert.throws(() => keeper.policy(), { code: 'promise.unmeasured' });
  gallery.samples = 10;
  await keeper.refresh();
  assert.equal(keeper.policy().threshold, 0.4);
});

test('a promise that cannot be kept is not taken over', async () => {
  const keeper = keeperOf({ samples: 10 });
  await keeper.refresh();
  await assert.rejects(keeper.change({ strangersPerThousand: 0.1, margin: 0.1, livenessMinimum: null }), {
    code: 'promise.unmeasured',
  });
  assert.deepEqual(keeper.policy(), { threshold: 0.4, margin: 0.05, livenessMinimum: null });
});
