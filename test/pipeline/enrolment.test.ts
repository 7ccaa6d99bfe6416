import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Match } from '../../src/domain/person.js';
import {
  type Candidate,
  type EnrolmentQuestion,
  enrolmentLimits,
  planEnrolment,
} from '../../src/pipeline/enrolment.js';
import type { OwnSample } from '../../src/pipeline/ports.js';
import { QUALITY, SPACE } from '../gallery/support.js';

/** A unit vector in a plane: two of them have the cosine of the angle between them. */
function at(degrees: number): Float32Array {
  const angle = (degrees * Math.PI) / 180;
  return Float32Array.of(Math.cos(angle), Math.sin(angle), 0);
}

/** Like nobody in the plane. */
const STRANGER = Float32Array.of(0, 0, 1);

function candidate(vector: Float32Array, score = 0.9, match: Match | null = null): Candidate {
  return { embedding: { space: SPACE, vector }, quality: { ...QUALITY, score }, match };
}

function own(id: string, vector: Float32Array, score = 0.9): OwnSample {
  return { id, embedding: { space: SPACE, vector }, quality: { ...QUALITY, score } };
}

function anna(similarity: number): Match {
  return { person: { id: 'anna', name: 'Anna' }, similarity, runnerUp: null };
}

const QUESTION: EnrolmentQuestion = {
  ...{ person: null, own: [], candidates: [], duplicateFrom: 0.5 },
  limits: { outlier: 0.24, nearlySame: 0.95, perPerson: 3 },
};

interface Row {
  readonly what: string;
  readonly question: Partial<EnrolmentQuestion>;
  readonly codes: readonly (string | null)[];
  readonly remove?: readonly string[];
}

const ROWS: readonly Row[] = [
  { what: 'a first face', question: { candidates: [candidate(at(0))] }, codes: [null] },
  {
    what: 'of two that are nearly the same the one that the others resemble more',
    question: { candidates: [candidate(at(0)), candidate(at(10)), candidate(at(40))] },
    codes: ['enroll.nothing-new', null, null],
  },
  {
    what: 'somebody else at the head of a folder',
    question: { candidates: [candidate(STRANGER, 1), candidate(at(0)), candidate(at(40))] },
    codes: ['enroll.outlier', null, null],
  },
  {
    what: 'of two strangers to each other the better picture',
    question: { candidates: [candidate(STRANGER, 0.5), candidate(at(0), 0.8)] },
    codes: ['enroll.outlier', null],
  },
  {
    what: 'far from the first, near to the second, which is near to the first',
    question: { candidates: [candidate(at(100)), candidate(at(0)), candidate(at(50))] },
    codes: [null, null, null],
  },
  {
    what: 'unlike the samples that are there',
    question: { person: 'ben', own: [own('a', at(0))], candidates: [candidate(at(100)), candidate(at(60))] },
    codes: [null, null],
  },
  {
    what: 'unlike the samples that are there, alone',
    question: { person: 'ben', own: [own('a', at(0))], candidates: [candidate(at(100))] },
    codes: ['enroll.outlier'],
  },
  {
    what: 'unlike the samples that are there, insisted upon',
    question: { person: 'ben', own: [own('a', at(0))], candidates: [candidate(at(100))], force: true },
    codes: [null],
  },
  {
    what: 'somebody else in the gallery',
    question: { candidates: [candidate(at(0), 0.9, anna(0.5)), candidate(at(40), 0.9, anna(0.49))] },
    codes: ['enroll.duplicate', null],
  },
  {
    what: 'somebody else in the gallery, insisted upon: twins',
    question: { candidates: [candidate(at(0), 0.9, anna(0.8))], force: true },
    codes: [null],
  },
  {
    what: 'the person’s own match is no duplicate',
    question: {
      ...{ person: 'anna', own: [own('a', at(0))] },
      candidates: [candidate(at(40), 0.9, anna(0.8))],
    },
    codes: [null],
  },
  {
    what: 'nearly the same is nothing new, insisted upon or not',
    question: { person: 'ben', own: [own('a', at(0))], candidates: [candidate(at(5))], force: true },
    codes: ['enroll.nothing-new'],
  },
  {
    what: 'full: of the two most alike the poorer goes',
    question: {
      person: 'ben',
      own: [own('a', at(0)), own('b', at(20), 0.5), own('c', at(60))],
      candidates: [candidate(at(100))],
    },
    codes: [null],
    remove: ['b'],
  },
  {
    what: 'full of varied samples: a new one between them is nothing new',
    question: {
      person: 'ben',
      own: [own('a', at(0)), own('b', at(50)), own('c', at(100))],
      candidates: [candidate(at(25), 0.5)],
    },
    codes: ['enroll.nothing-new'],
  },
  {
    what: 'full, and what is there may not go (an import)',
    question: {
      ...{ person: 'ben', replace: false },
      own: [own('a', at(0)), own('b', at(20), 0.1), own('c', at(60))],
      candidates: [candidate(at(100))],
    },
    codes: ['enroll.nothing-new'],
  },
  {
    what: 'more new ones than there is room for',
    question: { candidates: [0, 20, 40, 60, 80].map((degrees) => candidate(at(degrees))) },
    codes: [null, 'enroll.nothing-new', null, 'enroll.nothing-new', null],
  },
];

for (const { what, question, codes, remove = [] } of ROWS)
  test(`enrolment: ${what}`, () => {
    const plan = planEnrolment({ ...QUESTION, ...question });
    assert.deepEqual(
      plan.verdicts.map((verdict) => (verdict.accepted ? null : verdict.code)),
      codes,
    );
    assert.deepEqual(plan.remove, remove);
  });

test('a duplicate says whose face it is, an outlier how far off it is', () => {
  const { verdicts } = planEnrolment({
    ...QUESTION,
    candidates: [candidate(at(0)), candidate(at(20)), candidate(STRANGER), candidate(at(0), 0.9, anna(0.7))],
  });
  const reasons = verdicts.map((verdict) => (verdict.accepted ? '' : verdict.reason));
  assert.match(reasons[2] ?? '', /0\.00, at least 0\.24/);
  assert.equal(reasons[3], 'this face is already Anna');
});

test('the bounds follow from the measured curve, else from the models that are shipped', () => {
  const points = [
    { fmr: 1e-2, threshold: 0.31, tmr: 0.99 },
    { fmr: 1e-4, threshold: 0.5, tmr: 0.9 },
  ];
  assert.equal(enrolmentLimits({ impostorPairs: 1e6, points }, 5).outlier, 0.31);
  assert.equal(enrolmentLimits(undefined, 5).outlier, 0.24);
});
