import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Embedding } from '../../src/domain/embedding.js';
import type { Match } from '../../src/domain/person.js';
import type { Judged, Sighting } from '../../src/pipeline/ports.js';
import { Presence, type PresenceOptions } from '../../src/pipeline/presence.js';

const ANNA = { id: '01A', name: 'Anna' };
const BERT = { id: '01B', name: 'Bert' };

/** Unit vectors: each stranger has an axis of its own. */
function look(axis: number): Embedding {
  const vector = new Float32Array(8);
  vector[axis] = 1;
  return { space: 'test', vector };
}

function match(person: typeof ANNA, similarity: number, runnerUp: number | null = 0.1): Match {
  return { person, similarity, runnerUp };
}

interface Look {
  readonly track?: string;
  readonly camera?: string;
  readonly at: number;
  readonly match?: Match | null;
  readonly axis?: number;
  readonly liveness?: number | null;
  readonly poor?: Sighting['poor'];
  readonly final?: boolean;
  readonly still?: boolean;
  readonly score?: number;
  readonly x?: number;
  readonly alongside?: readonly string[];
}

function sighting(one: Look): Sighting {
  return {
    camera: one.camera ?? 'door',
    track: one.track ?? 't1',
    capturedAt: { monotonicMs: one.at, wallMs: one.at },
    box: [one.x ?? 100, 100, 60, 60],
    frame: [640, 480],
    quality: { size: 60, sharpness: 90, yaw: 0, pitch: 0, roll: 0, brightness: 120, score: one.score ?? 0.8 },
    embedding: one.poor === undefined ? look(one.axis ?? 0) : null,
    poor: one.poor ?? null,
    liveness: one.liveness ?? null,
    final: one.final ?? false,
    ...(one.still === true ? { still: true } : {}),
    ...(one.alongside === undefined ? {} : { alongside: one.alongside }),
  };
}

/** A presence, and what it has announced so far as short words. */
function desk(options: Partial<PresenceOptions> & { livenessMinimum?: number } = {}) {
  const { livenessMinimum = null, ...rest } = options;
  const presence = new Presence({
    policy: () => ({ threshold: 0.4, margin: 0.05, livenessMinimum }),
    ...rest,
  });
  const said: string[] = [];
  const say = (judged: Judged | null): void => {
    if (judged === null) return;
    const { decision, sighting: shown } = judged;
    said.push(
      `${decision.kind === 'known' ? decision.person.name : decision.kind} @${shown.capturedAt.monotonicMs}`,
    );
  };
  return {
    presence,
    said,
    look: (one: Look): void => {
      const shown = sighting(one);
      presence.sight(shown);
      say(presence.judge(shown.track, one.match ?? null));
    },
    end: (track = 't1', lastSeenMs?: number): void => {
      say(presence.trackEnded(lastSeenMs === undefined ? { track } : { track, lastSeenMs }));
    },
  };
}

test('a known person is announced at the first sure look, once', () => {
  const { look, end, said } = desk();
  for (const at of [0, 400, 800, 1200, 11_000]) look({ at, match: match(ANNA, 0.7) });
  end();
  assert.deepEqual(said, ['Anna @0']);
});

test('near the threshold a second look has to agree', () => {
  const agreed = desk();
  agreed.look({ at: 0, match: match(ANNA, 0.42) });
  assert.deepEqual(agreed.said, []);
  agreed.look({ at: 400, match: match(ANNA, 0.43) });
  assert.deepEqual(agreed.said, ['Anna @400']);

  const apart = desk();
  apart.look({ at: 0, match: match(ANNA, 0.42) });
  apart.look({ at: 400, match: match(BERT, 0.42) });
  apart.look({ at: 800, match: match(ANNA, 0.42) });
  assert.deepEqual(apart.said, []);
});

test('a stranger is announced once, after enough looks over enough time', () => {
  const { look, end, said } = desk();
  for (const at of [0, 400, 800, 1200, 1600, 11_600]) look({ at, match: match(ANNA, 0.2) });
  end();
  assert.deepEqual(said, ['unknown @1200']);
});

test('a stranger who is gone sooner is announced at the end, by the best shot', () => {
  const { look, end, said } = desk();
  look({ at: 0, score: 0.4 });
  look({ at: 400, score: 0.9 });
  look({ at: 500, score: 0.5 });
  assert.deepEqual(said, []);
  end();
  assert.deepEqual(said, ['unknown @400']);
});

test('a person first taken for a stranger may still become known, and then stays so', () => {
  const { look, end, said } = desk();
  for (const at of [0, 500, 1000]) look({ at, match: match(ANNA, 0.3) });
  look({ at: 1500, match: match(ANNA, 0.6) });
  look({ at: 2000, match: match(ANNA, 0.3) });
  end();
  assert.deepEqual(said, ['unknown @1000', 'Anna @1500']);
});

test('another name takes strong evidence twice in a row; a weak one changes nothing', () => {
  const { look, said } = desk();
  look({ at: 0, match: match(ANNA, 0.7) });
  look({ at: 400, match: match(BERT, 0.48) });
  look({ at: 800, match: match(BERT, 0.48) });
  look({ at: 1200, match: match(ANNA, 0.5) });
  look({ at: 1600, match: match(BERT, 0.8) });
  look({ at: 2000, match: match(ANNA, 0.8) });
  look({ at: 2400, match: match(BERT, 0.8) });
  assert.deepEqual(said, ['Anna @0']);
  look({ at: 2800, match: match(BERT, 0.8) });
  assert.deepEqual(said, ['Anna @0', 'Bert @2800']);
});

test('a track that breaks and comes back within the linger time is the same visit, later it is a new one', () => {
  const { look, end, said } = desk();
  look({ at: 0, match: match(ANNA, 0.7) });
  end('t1', 1000);
  look({ track: 't2', at: 5900, match: match(ANNA, 0.7) });
  assert.deepEqual(said, ['Anna @0']);
  end('t2', 6000);
  look({ track: 't3', at: 11_500, match: match(ANNA, 0.7) });
  assert.deepEqual(said, ['Anna @0', 'Anna @11500']);
});

test('the same person on another camera is announced there', () => {
  const { look, said } = desk();
  look({ at: 0, match: match(ANNA, 0.7) });
  look({ track: 't2', camera: 'yard', at: 100, match: match(ANNA, 0.7) });
  assert.deepEqual(said, ['Anna @0', 'Anna @100']);
});

test('a stranger who comes up again is recognised by the face; another stranger is not', () => {
  const { look, end, said } = desk();
  for (const at of [0, 500, 1000]) look({ at, axis: 1 });
  end('t1', 1200);
  for (const at of [2000, 2500, 3000]) look({ track: 't2', at, axis: 1 });
  end('t2', 3100);
  assert.deepEqual(said, ['unknown @1000']);
  for (const at of [4000, 4500, 5000]) look({ track: 't3', at, axis: 2 });
  assert.deepEqual(said, ['unknown @1000', 'unknown @5000']);
});

test('a known person whose next track is too weak for the name is not called a stranger', () => {
  const { look, end, said } = desk();
  look({ at: 0, axis: 1, match: match(ANNA, 0.7) });
  end('t1', 500);
  for (const at of [1000, 1500, 2000]) look({ track: 't2', at, axis: 1, match: match(ANNA, 0.3) });
  end('t2', 2100);
  assert.deepEqual(said, ['Anna @0']);
});

test('two people in view are two announcements', () => {
  const { look, said } = desk();
  look({ track: 't1', at: 0, axis: 1, match: match(ANNA, 0.7) });
  look({ track: 't2', at: 0, axis: 2, match: match(BERT, 0.7), x: 300 });
  assert.deepEqual(said, ['Anna @0', 'Bert @0']);
});

test('two who look alike and stand there together are two, also for the gallery that knows but one of them', () => {
  const strangers = desk();
  for (const at of [0, 500, 1000, 1500]) {
    strangers.look({ track: 't1', at, axis: 1, alongside: ['t2'] });
    strangers.look({ track: 't2', at, axis: 1, x: 300, alongside: ['t1'] });
  }
  assert.deepEqual(strangers.said, ['unknown @1000', 'unknown @1000']);

  const siblings = desk();
  siblings.look({ track: 't1', at: 0, axis: 1, match: match(ANNA, 0.7) });
  siblings.look({ track: 't2', at: 400, axis: 1, match: match(ANNA, 0.6), x: 300, alongside: ['t1'] });
  assert.deepEqual(siblings.said, ['Anna @0', 'Anna @400']);

  const poor = desk();
  poor.look({ track: 't1', at: 0, match: match(ANNA, 0.7), alongside: ['t2'] });
  poor.look({ track: 't2', at: 100, poor: 'turned-away', final: true, x: 130 });
  assert.deepEqual(poor.said, ['Anna @0', 'poor @100']);
});

test('of two who look alike each may be lost for a moment: neither is announced again', () => {
  const { look, end, said } = desk();
  for (const at of [0, 500, 1000]) {
    look({ track: 't1', at, axis: 1, alongside: ['t2'] });
    look({ track: 't2', at, axis: 1, x: 300, alongside: ['t1'] });
  }
  end('t1', 1100);
  for (const at of [2000, 2500, 3000]) look({ track: 't3', at, axis: 1, alongside: ['t2'] });
  end('t2', 3100);
  for (const at of [4000, 4500, 5000]) look({ track: 't4', at, axis: 1, x: 300, alongside: ['t3'] });
  assert.deepEqual(said, ['unknown @1000', 'unknown @1000']);
});

test('ambiguous and poor are said at the end only', () => {
  const twins = desk();
  for (const at of [0, 500, 1000, 1500]) twins.look({ at, match: match(ANNA, 0.6, 0.58) });
  assert.deepEqual(twins.said, []);
  twins.end();
  assert.deepEqual(twins.said, ['ambiguous @0'], 'by the best shot, the first of equals');

  const dark = desk();
  dark.look({ at: 700, poor: 'too-dark', final: true });
  dark.end();
  assert.deepEqual(dark.said, ['poor @700']);
});

test('a poor shot where somebody was announced a moment ago is that somebody', () => {
  const { look, end, said } = desk();
  look({ at: 0, match: match(ANNA, 0.7) });
  end('t1', 500);
  look({ track: 't2', at: 1500, poor: 'turned-away', final: true, x: 130 });
  assert.deepEqual(said, ['Anna @0']);
  look({ track: 't3', at: 1600, poor: 'turned-away', final: true, x: 500 });
  assert.deepEqual(said, ['Anna @0', 'poor @1600']);
});

test('where life is demanded, a picture is a spoof after enough looks, and one dull look at a live face is not', () => {
  const picture = desk({ livenessMinimum: 0.6 });
  for (const at of [0, 400, 800, 1200]) picture.look({ at, match: match(ANNA, 0.8), liveness: 0.1 });
  assert.deepEqual(picture.said, ['spoof @1200']);

  const live = desk({ livenessMinimum: 0.6 });
  live.look({ at: 0, match: match(ANNA, 0.8), liveness: 0.5 });
  live.look({ at: 400, match: match(ANNA, 0.8), liveness: 0.95 });
  assert.deepEqual(live.said, ['Anna @400']);
});

test('stills are decided each by itself, at once', () => {
  const { look, end, said } = desk();
  look({ track: 't1', at: 0, match: match(ANNA, 0.41), final: true, still: true });
  end('t1');
  look({ track: 't2', at: 10, match: match(ANNA, 0.8), final: true, still: true });
  end('t2');
  look({ track: 't3', at: 20, match: null, final: true, still: true });
  look({ track: 't4', at: 30, match: match(ANNA, 0.6, 0.59), final: true, still: true });
  look({ track: 't5', at: 40, poor: 'too-small', final: true, still: true });
  assert.deepEqual(said, ['Anna @0', 'Anna @10', 'unknown @20', 'ambiguous @30', 'poor @40']);
});

test('a person who stays is announced again only when that is asked for', () => {
  const { look, said } = desk({ renewAfterMs: 300_000 });
  for (let at = 0; at <= 620_000; at += 10_000) look({ at, match: match(ANNA, 0.7) });
  assert.deepEqual(said, ['Anna @0', 'Anna @300000', 'Anna @600000']);
});

test('the embedding to search is the mean of the looks, heavier where they are better', () => {
  const { presence } = desk();
  presence.sight(sighting({ at: 0, axis: 0, score: 0.9 }));
  const mean = presence.sight(sighting({ at: 400, axis: 1, score: 0.3 }));
  assert.ok(mean !== null);
  assert.ok(Math.abs(Math.hypot(...mean.vector) - 1) < 1e-6);
  assert.ok(Math.abs((mean.vector[0] ?? 0) / (mean.vector[1] ?? 1) - 3) < 1e-5);
});

test('a worker that was started again ends all tracks; what was held back is said', () => {
  const { look, presence } = desk();
  look({ track: 't1', at: 0, match: match(ANNA, 0.7), axis: 1 });
  look({ track: 't2', at: 0, axis: 2 });
  assert.deepEqual(
    presence.endAll().map((one) => one.decision.kind),
    ['unknown'],
  );
  assert.equal(presence.stats().tracks, 0);
});

test('what is remembered is bounded, and what is forgotten early is counted', () => {
  const { look, presence } = desk();
  for (let index = 0; index < 1000; index++) {
    look({
      track: `t${index}`,
      at: index,
      axis: index % 8,
      match: match({ id: `p${index}`, name: 'x' }, 0.9),
    });
  }
  const stats = presence.stats();
  assert.equal(stats.tracks, 256);
  assert.equal(stats.visits, 256);
  assert.ok(stats.forgotten >= 744);
});

test('who was in view when forgotten early is announced when coming again', () => {
  const { look, said } = desk();
  look({ track: 'lost', at: 0, match: match(ANNA, 0.9) });
  for (let index = 0; index < 256; index++) {
    // Looks too few to say anything about.
    look({ track: `t${index}`, at: index, axis: 1 + (index % 7), match: null });
  }
  assert.equal(said.length, 1);
  look({ track: 'again', at: 60_000, match: match(ANNA, 0.9) });
  assert.equal(said.length, 2);
});
