import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bestPromise,
  type FalseMatchCurve,
  strangersPerThousand,
  thresholdFor,
} from '../../src/pipeline/threshold.js';

/** One point a decade: interpolation is easy by hand. */
const curve: FalseMatchCurve = {
  impostorPairs: 3_000_000,
  points: [
    { fmr: 1e-2, threshold: 0.2, tmr: 1 },
    { fmr: 1e-3, threshold: 0.3, tmr: 0.98 },
    { fmr: 1e-4, threshold: 0.4, tmr: 0.96 },
    { fmr: 1e-5, threshold: 0.5, tmr: 0.92 },
    { fmr: 1e-6, threshold: 0.6, tmr: 0.85 },
  ],
};
const close = (actual: number, expected: number, within: number) =>
  assert.ok(Math.abs(actual - expected) <= within, `${actual} is not ${expected}`);

test('one sample: the promise is the false match rate', () => {
  const bar = thresholdFor(curve, { people: 1, samples: 1, strangersPerThousand: 1 });
  close(bar.threshold, 0.3, 1e-9);
  close(bar.fmr, 1e-3, 1e-12);
  close(bar.tmr, 0.98, 1e-9);
});

const rows: readonly { samples: number; perThousand: number; threshold: number }[] = [
  // Ten samples: a tenth of the rate, one decade, 0.1 more.
  { samples: 10, perThousand: 1, threshold: 0.4 },
  { samples: 100, perThousand: 1, threshold: 0.5 },
  { samples: 1000, perThousand: 1, threshold: 0.6 },
  // Half a decade lies half way: 10^-3.5 is 0.316 in a thousand.
  { samples: 1, perThousand: 0.316228, threshold: 0.35 },
  // Looser than the curve's first point: that point.
  { samples: 1, perThousand: 100, threshold: 0.2 },
  // 1 - 0.5^(1/100) = 0.0069075.
  { samples: 100, perThousand: 500, threshold: 0.2 + 0.1 * Math.log10(1e-2 / 0.0069075) },
];
for (const { samples, perThousand, threshold } of rows) {
  test(`${perThousand} strangers in a thousand and ${samples} samples: ${threshold.toFixed(3)}`, () => {
    const bar = thresholdFor(curve, { people: 1, samples, strangersPerThousand: perThousand });
    close(bar.threshold, threshold, 2e-4);
  });
}

test('an empty gallery is judged like one sample', () => {
  const empty = thresholdFor(curve, { people: 0, samples: 0, strangersPerThousand: 1 });
  assert.deepEqual(empty, thresholdFor(curve, { people: 1, samples: 1, strangersPerThousand: 1 }));
});

test('what was never measured is refused, with what can be promised instead', () => {
  const gallery = { people: 500, samples: 2000 };
  const refused = (): never => {
    thresholdFor(curve, { ...gallery, strangersPerThousand: 1 });
    throw new Error('not refused');
  };
  assert.throws(refused, {
    code: 'promise.unmeasured',
    message: /5\.0e-7.*3000000.*1\.0e-6/,
    fix: /at least 2\.0 strangers/,
  });
  close(bestPromise(curve, gallery), 1000 * (1 - (1 - 1e-6) ** 2000), 1e-6);
  assert.doesNotThrow(() => thresholdFor(curve, { ...gallery, strangersPerThousand: 2.01 }));
  assert.throws(() => thresholdFor(undefined, { ...gallery, strangersPerThousand: 9 }), {
    code: 'promise.unmeasured',
  });
});

test('few measured pairs support less than the curve shows', () => {
  const few = { ...curve, impostorPairs: 3000 };
  assert.throws(() => thresholdFor(few, { people: 1, samples: 2, strangersPerThousand: 1 }), {
    code: 'promise.unmeasured',
  });
  assert.doesNotThrow(() => thresholdFor(few, { people: 1, samples: 1, strangersPerThousand: 1.1 }));
});

test('a threshold read back gives the promise it was made for', () => {
  for (const strangers of [0.5, 1, 5]) {
    const gallery = { people: 8, samples: 16 };
    const { threshold } = thresholdFor(curve, { ...gallery, strangersPerThousand: strangers });
    close(strangersPerThousand(curve, gallery, threshold), strangers, strangers * 1e-6);
  }
  close(strangersPerThousand(curve, { people: 1, samples: 1 }, 0.9), 1e-3, 1e-9);
  close(strangersPerThousand(curve, { people: 1, samples: 1 }, 0.1), 1000, 1e-9);
});

test('a promise that is none is a mistake of the caller', () => {
  for (const strangers of [0, -1, 1000, Number.NaN]) {
    assert.throws(
      () => thresholdFor(curve, { people: 1, samples: 1, strangersPerThousand: strangers }),
      RangeError,
    );
  }
});
