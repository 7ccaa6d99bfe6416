import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LivenessMode, LivenessReason, LivenessState } from '../../src/domain/liveness.js';
import {
  answerOf,
  judgeLife,
  LIFE_LIMITS,
  type LifeEvidence,
  type LifeVerdict,
} from '../../src/pipeline/life-rules.js';
import type { LifeSigns } from '../../src/vision/life-signs.js';

const STILL: LifeSigns = {
  frames: 20,
  spanMs: 2000,
  turn: 0.02,
  nod: 0.02,
  swing: { least: 0, most: 0 },
  explained: 0.2,
  tremble: 1,
  stretch: 1.02,
  blinks: [],
};
const BLINK = [900];
const TURNED = { turn: 0.3, explained: 0.8, tremble: 0.05, stretch: 1.08 };

interface Row {
  readonly name: string;
  readonly signs: Partial<LifeSigns> | null;
  readonly elapsedMs?: number;
  readonly asked?: LifeEvidence['asked'];
  readonly screen?: boolean;
  readonly is: readonly [LivenessState, LivenessReason];
}

const LATE = LIFE_LIMITS.withinMs;
const ROWS: readonly Row[] = [
  { name: 'nothing yet', signs: null, is: ['undecided', 'collecting'] },
  { name: 'nothing until the end', signs: null, elapsedMs: LATE, is: ['not-shown', 'no-face'] },
  { name: 'still, with time left', signs: {}, is: ['undecided', 'collecting'] },
  { name: 'still until the end', signs: {}, elapsedMs: LATE, is: ['not-shown', 'no-motion'] },
  { name: 'a blink alone', signs: { blinks: BLINK }, elapsedMs: LATE, is: ['not-shown', 'no-turn'] },
  { name: 'a large turn', signs: TURNED, is: ['live', 'solid'] },
  {
    name: 'a large turn and a blink',
    signs: { ...TURNED, blinks: BLINK },
    is: ['live', 'solid-and-blinked'],
  },
  {
    name: 'a small turn',
    signs: { ...TURNED, turn: 0.14, stretch: 1.03 },
    elapsedMs: LATE,
    is: ['not-shown', 'no-blink'],
  },
  {
    name: 'a small turn and a blink',
    signs: { ...TURNED, turn: 0.14, stretch: 1.03, blinks: BLINK },
    is: ['live', 'solid-and-blinked'],
  },
  {
    name: 'movement that is no head',
    signs: { ...TURNED, explained: 0.3 },
    elapsedMs: LATE,
    is: ['not-shown', 'not-a-head'],
  },
  {
    name: 'relief that a tilted picture only seems to have',
    signs: { ...TURNED, turn: 0.17, stretch: 1.35, blinks: BLINK },
    elapsedMs: LATE,
    is: ['not-shown', 'not-a-head'],
  },
  { name: 'a turn in the first moment', signs: { ...TURNED, spanMs: 200 }, is: ['undecided', 'collecting'] },
  { name: 'foreshortened and flat', signs: { stretch: 1.25 }, elapsedMs: LATE, is: ['spoof', 'flat'] },
  {
    name: 'foreshortened and flat, with time left',
    signs: { stretch: 1.25 },
    is: ['undecided', 'collecting'],
  },
  {
    name: 'foreshortened and flat, with eyes that close',
    signs: { stretch: 1.25, blinks: BLINK },
    elapsedMs: LATE,
    is: ['spoof', 'eyes-in-flat-face'],
  },
  {
    name: 'a nod is no flat face',
    signs: { stretch: 1.25, nod: 0.3 },
    elapsedMs: LATE,
    is: ['not-shown', 'no-motion'],
  },
  {
    name: 'a nod without any turn',
    signs: { ...TURNED, turn: 0.05, nod: 0.25 },
    elapsedMs: LATE,
    is: ['not-shown', 'no-motion'],
  },
  {
    name: 'a turn of points that tremble',
    signs: { ...TURNED, tremble: 0.3 },
    elapsedMs: LATE,
    is: ['not-shown', 'not-a-head'],
  },
  {
    name: 'little relief for how much the face was foreshortened, but a movement that is clearly a head’s',
    signs: { ...TURNED, turn: 0.34, stretch: 1.22 },
    is: ['live', 'solid'],
  },
  {
    name: 'the same with a movement that is less so',
    signs: { ...TURNED, turn: 0.24, explained: 0.55, stretch: 1.22 },
    elapsedMs: LATE,
    is: ['not-shown', 'not-a-head'],
  },
  {
    name: 'all of the relief, and a movement that is only just a head’s',
    signs: { ...TURNED, explained: 0.46, stretch: 1.02 },
    is: ['live', 'solid'],
  },
  {
    name: 'a screen, whatever it shows',
    signs: { ...TURNED, blinks: BLINK },
    screen: true,
    is: ['spoof', 'screen'],
  },
  { name: 'a screen without points', signs: null, screen: true, is: ['spoof', 'screen'] },
  {
    name: 'asked, and nothing done',
    signs: STILL,
    asked: { wanted: 0, wrong: 0 },
    is: ['undecided', 'collecting'],
  },
  {
    name: 'asked, and done',
    signs: TURNED,
    asked: { wanted: 0.2, wrong: 0.02 },
    is: ['live', 'solid-as-asked'],
  },
  {
    name: 'asked, and the other side first',
    signs: { ...TURNED, blinks: BLINK },
    asked: { wanted: 0.3, wrong: 0.2 },
    is: ['spoof', 'not-as-asked'],
  },
  {
    name: 'asked, and turned before it was asked',
    signs: { ...TURNED, blinks: BLINK },
    asked: { wanted: 0.05, wrong: 0.05 },
    elapsedMs: LATE,
    is: ['not-shown', 'not-as-asked'],
  },
  {
    name: 'asked, and a flat picture turned',
    signs: { stretch: 1.25 },
    asked: { wanted: 0.2, wrong: 0 },
    elapsedMs: LATE,
    is: ['spoof', 'flat'],
  },
  {
    name: 'NaN is never a yes',
    signs: { turn: Number.NaN, explained: Number.NaN, tremble: Number.NaN },
    is: ['undecided', 'collecting'],
  },
];

for (const { name, signs, elapsedMs = 1500, asked = null, screen = false, is } of ROWS) {
  test(`active: ${name} is ${is[0]}`, () => {
    const whole = signs === null ? null : { ...STILL, ...signs };
    const { state, reason, score } = judgeLife({ signs: whole, elapsedMs, asked, screen });
    assert.deepEqual([state, reason], is);
    assert.equal(score === 1, state === 'live');
  });
}

const LIVE: LifeVerdict = { state: 'live', reason: 'solid', score: 1 };
const OPEN: LifeVerdict = { state: 'undecided', reason: 'collecting', score: 0.3 };
const FLAT: LifeVerdict = { state: 'spoof', reason: 'flat', score: 0 };

const ANSWERS: readonly {
  mode: LivenessMode;
  passive: number | null;
  active: LifeVerdict | null;
  is: readonly [LivenessState, number | null];
}[] = [
  { mode: 'off', passive: null, active: null, is: ['live', null] },
  { mode: 'off', passive: 0.1, active: FLAT, is: ['live', 0.1] },
  { mode: 'passive', passive: 0.8, active: null, is: ['live', 0.8] },
  { mode: 'passive', passive: 0.8, active: FLAT, is: ['live', 0.8] },
  { mode: 'passive', passive: 0.3, active: LIVE, is: ['spoof', 0.3] },
  { mode: 'passive', passive: null, active: LIVE, is: ['not-shown', 0] },
  { mode: 'passive', passive: Number.NaN, active: LIVE, is: ['spoof', Number.NaN] },
  { mode: 'active', passive: 0.1, active: LIVE, is: ['live', 1] },
  { mode: 'active', passive: 0.9, active: OPEN, is: ['undecided', 0.3] },
  { mode: 'active', passive: 0.9, active: FLAT, is: ['spoof', 0] },
  { mode: 'active', passive: 0.9, active: null, is: ['not-shown', 0] },
  { mode: 'both', passive: 0.9, active: LIVE, is: ['live', 0.9] },
  { mode: 'both', passive: 0.2, active: LIVE, is: ['spoof', 0.2] },
  { mode: 'both', passive: 0.9, active: FLAT, is: ['spoof', 0] },
  { mode: 'both', passive: 0.2, active: OPEN, is: ['undecided', 0.2] },
  { mode: 'both', passive: null, active: LIVE, is: ['not-shown', 0] },
];

for (const { mode, passive, active, is } of ANSWERS) {
  test(`${mode}: passive ${passive}, active ${active?.state ?? 'not made'} is ${is[0]}`, () => {
    const { state, score } = answerOf({ passive, active }, { mode, minimum: 0.5 });
    assert.deepEqual([state, score], is);
  });
}
