import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Match } from '../../src/domain/person.js';
import { type DecisionInput, type DecisionPolicy, decide } from '../../src/pipeline/decide.js';

const POLICY: DecisionPolicy = { threshold: 0.4, margin: 0.05, livenessMinimum: null };
const CAREFUL: DecisionPolicy = { ...POLICY, livenessMinimum: 0.6 };
const ANNA = { id: '01A', name: 'Anna' };

function match(similarity: number, runnerUp: number | null = null): Match {
  return { person: ANNA, similarity, runnerUp };
}

const table: readonly [string, Partial<DecisionInput>, DecisionPolicy, string][] = [
  ['an empty gallery', { match: null }, POLICY, 'unknown'],
  ['below the threshold', { match: match(0.399) }, POLICY, 'unknown'],
  ['at the threshold', { match: match(0.4) }, POLICY, 'known'],
  ['nobody else in the gallery', { match: match(0.7) }, POLICY, 'known'],
  ['a runner-up far behind', { match: match(0.7, 0.3) }, POLICY, 'known'],
  ['a runner-up too close', { match: match(0.7, 0.66) }, POLICY, 'ambiguous'],
  ['two strangers to each other, both below', { match: match(0.3, 0.29) }, POLICY, 'unknown'],
  ['a number that is none', { match: match(Number.NaN) }, POLICY, 'unknown'],
  ['a runner-up that is no number', { match: match(0.7, Number.NaN) }, POLICY, 'ambiguous'],
  ['a picture, where nobody asked', { match: match(0.7), liveness: 0.01 }, POLICY, 'known'],
  ['a picture', { match: match(0.7), liveness: 0.59 }, CAREFUL, 'spoof'],
  ["a stranger's picture", { match: match(0.1), liveness: 0.1 }, CAREFUL, 'spoof'],
  ['a live face', { match: match(0.7), liveness: 0.6 }, CAREFUL, 'known'],
  ['no score where one is demanded', { match: match(0.7), liveness: null }, CAREFUL, 'spoof'],
  ['a score that is no number', { match: match(0.7), liveness: Number.NaN }, CAREFUL, 'spoof'],
  ['too poor, whatever the rest says', { match: match(0.9), poor: 'too-dark' }, POLICY, 'poor'],
];

for (const [what, input, policy, expected] of table) {
  test(`${what}: ${expected}`, () => {
    const decision = decide({ match: null, liveness: null, poor: null, ...input }, policy);
    assert.equal(decision.kind, expected);
    if (decision.kind === 'poor') assert.equal(decision.reason, input.poor);
    else assert.equal(decision.evidence.threshold, policy.threshold);
    if (decision.kind === 'known') assert.equal(decision.person, ANNA);
  });
}
