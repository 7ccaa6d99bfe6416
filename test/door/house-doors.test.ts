/** The doors as the daemon builds them, with the real store, the real holder and, where one is needed, a real broker. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Config, loadConfig } from '../../src/config/index.js';
import type { DoorEvent } from '../../src/door/index.js';
import { HouseDoors } from '../../src/doors.js';
import { createStore } from '../../src/gallery/index.js';
import { type Clock, systemClock } from '../../src/lib/clock.js';
import { silentLogger } from '../../src/lib/log.js';
import type { MqttLink } from '../../src/mqtt/client.js';
import type { LockState } from '../../src/mqtt/schemas.js';
import type { Sighting, Store } from '../../src/pipeline/ports.js';
import type { FalseMatchCurve } from '../../src/pipeline/threshold.js';
import { listen, startMosquitto, Wire, withoutMosquitto } from '../helpers/broker.js';
import { makeLink, startLink } from '../helpers/broker-link.js';
import { temporaryDir } from '../helpers/dirs.js';

const CURVE: FalseMatchCurve = {
  impostorPairs: 7_000_000,
  points: [
    { fmr: 1e-2, threshold: 0.24, tmr: 0.99 },
    { fmr: 1e-6, threshold: 0.5, tmr: 0.9 },
  ],
};

const CAMERAS = 'cameras: {porch: {source: "v4l2:/dev/video0"}, back: {source: "csi:0"}}\n';
const OPEN_ALWAYS =
  'access: {clock: trusted, zone: Europe/Berlin, rules: [{name: r, doors: [all], people: [Anna], when: always}]}\n';
const FACE = 'cameras: [porch], modes: [face], pulse: 0.2, coolDown: 0, sure: {liveness: "off", span: 0}';

interface Options {
  readonly doors?: string;
  readonly access?: string;
  readonly clock?: Clock;
  readonly link?: Pick<MqttLink, 'others'>;
  readonly people?: readonly string[];
  /** What happened before the doors were opened. */
  readonly before?: (store: Store) => Promise<void>;
}

interface House {
  readonly doors: HouseDoors;
  readonly config: Config;
  readonly store: Store;
  readonly stateDir: string;
  readonly told: DoorEvent[];
  readonly states: LockState[];
  readonly ids: Readonly<Record<string, string>>;
  record(): string;
  /** Resolves with the next event of this name. */
  next(event: DoorEvent['event']): Promise<DoorEvent>;
  kinds(): Promise<string[]>;
  configured(doors: string, access: string): Promise<Config>;
}

async function house(t: TestContext, options: Options = {}): Promise<House> {
  const stateDir = await temporaryDir(t);
  const file = join(stateDir, 'record');
  const {
    doors: settings = `front: {lock: {driver: recorder, file: ${file}}, ${FACE}}`,
    access = OPEN_ALWAYS,
  } = options;
  const configured = async (doors: string, rules: string) => {
    const path = join(await temporaryDir(t), 'faced.yaml');
    writeFileSync(path, `${CAMERAS}doors: {${doors.replaceAll('RECORD', file)}}\n${rules}`);
    return loadConfig({ path, env: {} }).config;
  };
  const config = await configured(settings, access);
  const store = createStore({ directory: stateDir });
  await store.start(new AbortController().signal);
  const ids: Record<string, string> = {};
  for (const name of options.people ?? ['Anna', 'Bea']) ids[name] = (await store.ensurePerson(name)).id;
  await options.before?.(store);
  const told: DoorEvent[] = [];
  const states: LockState[] = [];
  const waiting = new Set<() => void>();
  const doors = await HouseDoors.open({
    config,
    stateDir,
    cameras: [
      { name: 'porch', source: 'v4l2:/dev/video0', view: {} },
      { name: 'back', source: 'csi:0', view: {} },
    ],
    curve: CURVE,
    policy: () => ({ threshold: 0.4, margin: 0.05, livenessMinimum: null }),
    store,
    link: {
      others: options.link?.others ?? { publish: async () => {}, subscribe: () => () => {} },
      lockState: (state) => states.push(state),
      lockEvent: (event) => {
        told.push(event as DoorEvent);
        for (const check of [...waiting]) check();
      },
    },
    log: silentLogger,
    ...(options.clock === undefined ? {} : { clock: options.clock }),
  });
  await doors.start(new AbortController().signal);
  t.after(async () => {
    await doors.stop();
    await store.stop();
  });
  return {
    doors,
    config,
    store,
    stateDir,
    told,
    states,
    ids,
    configured,
    record: () => readFileSync(file, 'utf8'),
    next: (event) => {
      const from = told.length;
      return new Promise((resolve) => {
        const check = () => {
          const found = told.slice(from).find((one) => one.event === event);
          if (found === undefined) return;
          waiting.delete(check);
          resolve(found);
        };
        waiting.add(check);
      });
    },
    kinds: async () => {
      const chain = await store.verifyAudit();
      assert.ok(chain.ok, 'the chain is whole');
      return (await store.exportAudit({ limit: 1000 })).map(({ kind }) => kind);
    },
  };
}

let seen = 0;

/** One look at somebody, and whom it resembles by itself; each a moment after the one before. */
function show(
  doors: HouseDoors,
  id: string | null,
  more: { track?: string; camera?: string; similarity?: number; runnerUp?: number; mediaMs?: number } = {},
): void {
  const {
    track = 't',
    camera = 'porch',
    similarity = id === null ? 0.1 : 0.8,
    runnerUp = null,
    mediaMs,
  } = more;
  const now = systemClock.monotonic();
  const sighting: Sighting = {
    camera,
    track,
    capturedAt: { monotonicMs: now - 20 + (seen++ % 20), wallMs: systemClock.wall() },
    box: [0, 0, 100, 100],
    frame: [640, 480],
    quality: { size: 100, sharpness: 200, yaw: 0, pitch: 0, roll: 0, brightness: 120, score: 0.9 },
    embedding: { space: 's', vector: new Float32Array(4) },
    poor: null,
    liveness: null,
    final: false,
    ...(mediaMs === undefined ? {} : { mediaMs }),
  };
  doors.looked(sighting, { person: { id: id ?? 'nobody', name: '' }, similarity, runnerUp });
}

const showThree = (...[doors, id, more]: Parameters<typeof show>) => {
  for (const _ of [1, 2, 3]) show(doors, id, more);
};

/** A lock of others that does at once what it is told: a wire rests for a second after each pulse. */
function obedientLock(): MqttLink['others'] {
  let say: (state: string) => void = () => {};
  return {
    publish: async (_topic, payload) => say(`${payload}ED`),
    subscribe: (_topic, listener) => {
      say = listener;
      return () => {};
    },
  };
}

/** Resolves when the first door was unlocked and is locked again. */
function pulseOf(doors: HouseDoors): Promise<void> {
  return new Promise((resolve) => {
    let opened = false;
    const off = doors.doors[0]?.on('changed', ({ state }) => {
      opened ||= state === 'unlocked';
      if (!opened || state !== 'locked') return;
      off?.();
      resolve();
    });
  });
}

const activeVerdict = (doors: HouseDoors, state: 'live' | 'spoof', track: string) =>
  doors.livenessChanged({
    camera: 'porch',
    track,
    at: { monotonicMs: systemClock.monotonic(), wallMs: systemClock.wall() },
    liveness: {
      passive: null,
      active: {
        ...{ state, score: 1, reason: state === 'live' ? 'solid-and-blinked' : 'flat' },
        ...{ blinks: 1, turn: 20, challenge: null },
      },
    },
  });

test('a sure face opens; who is nearest but not near enough for the door, or has no right, does not', async (t) => {
  const { doors, ids, next, record, kinds, states } = await house(t);
  const unknown = next('denied');
  showThree(doors, ids.Anna ?? '', { track: 'far', similarity: 0.42 });
  assert.equal(
    (await unknown).reason,
    'unknown',
    'known by the promise of the house, not by that of the door',
  );
  const noRight = next('denied');
  showThree(doors, ids.Bea ?? '', { track: 'bea' });
  assert.equal((await noRight).reason, 'no-rule');
  assert.ok(!record().includes('unlocked'));
  const granted = next('granted');
  const over = pulseOf(doors);
  showThree(doors, ids.Anna ?? '');
  assert.equal((await granted).person, ids.Anna);
  await over;
  assert.match(record(), / unlocked high\n/);
  assert.deepEqual(states[0]?.doors, { front: { state: 'locked', open: null } });
  assert.ok(states.some(({ doors: { front } }) => front?.state === 'unlocked'));
  const rows = await kinds();
  assert.ok(rows.indexOf('door.granted') < rows.indexOf('door.unlocked'));
});

test('a clip, a camera that the door does not name, and a person who is gone open nothing', async (t) => {
  const { doors, ids, next, record, store } = await house(t);
  for (const mediaMs of [0, 100, 200, 300]) show(doors, ids.Anna ?? '', { track: 'clip', mediaMs });
  showThree(doors, ids.Anna ?? '', { track: 'back', camera: 'back' });
  show(doors, ids.Anna ?? '');
  show(doors, ids.Anna ?? '');
  await store.removePerson(ids.Anna ?? '');
  await doors.galleryChanged();
  const denied = next('denied');
  showThree(doors, ids.Anna ?? '');
  assert.equal((await denied).reason, 'no-rule');
  await doors.stop();
  assert.ok(!record().includes('unlocked'));
});

test('of two looks at the gallery at once the older one does not bring back who is gone', async (t) => {
  const { doors, ids, next, record, store } = await house(t);
  const before = await store.people();
  let release = (): void => {};
  const late = new Promise<typeof before>((resolve) => {
    release = () => resolve(before);
  });
  t.mock.method(store, 'people').mock.mockImplementationOnce(() => late);
  const older = doors.galleryChanged();
  await store.removePerson(ids.Anna ?? '');
  const newer = doors.galleryChanged();
  // Were it not held back, the newer look would be over after these.
  for (let n = 0; n < 20; n++) await store.audit({ kind: 'meanwhile', actor: 'test', detail: { n } });
  release();
  await Promise.all([older, newer]);
  const answered = Promise.race([next('denied'), next('granted')]);
  showThree(doors, ids.Anna ?? '');
  assert.equal((await answered).reason, 'no-rule');
  await doors.stop();
  assert.ok(!record().includes('unlocked'));
});

test('of two who are deleted neither keeps code or right because the file of codes cannot be written', async (t) => {
  const { doors, ids, store, stateDir, record } = await house(t, {
    doors: 'front: {lock: {driver: recorder, file: RECORD}, modes: [code], codes: [mqtt], coolDown: 0}',
    access: OPEN_ALWAYS.replace('[Anna]', '[Anna, Bea]'),
  });
  const names = ['Anna', 'Bea'];
  for (const [at, name] of names.entries())
    await doors.keys.add({ person: ids[name] ?? '', method: 'code', secret: `47119${at}`, actor: 'cli' });
  const book = join(stateDir, 'credentials.json');
  renameSync(book, `${book}.kept`);
  mkdirSync(book);
  for (const name of names) await store.removePerson(ids[name] ?? '');
  const cleo = await store.ensurePerson('Cleo');
  await assert.rejects(doors.galleryChanged());
  for (const at of names.keys()) {
    const shown = { method: 'code', secret: `47119${at}`, reader: null } as const;
    const answer = await doors.order({ kind: 'lock', door: 'front', id: `${at}`, action: 'present', shown });
    assert.deepEqual(answer, { outcome: 'denied', reason: 'wrong-secret' });
  }
  rmdirSync(book);
  renameSync(`${book}.kept`, book);
  await doors.keys.add({ person: cleo.id, method: 'code', secret: '471192', actor: 'cli' });
  await store.removePerson(cleo.id);
  await doors.galleryChanged();
  assert.doesNotMatch(
    readFileSync(book, 'utf8'),
    /digest/,
    'it is tried again, and who came meanwhile is known',
  );
  await doors.stop();
  assert.ok(!record().includes('unlocked'));
});

test('a known face beside a spoof opens nothing, alive or not; later, alone, it does', async (t) => {
  const { doors, ids, next, record } = await house(t, {
    doors: `front: {lock: {driver: recorder, file: RECORD}, ${FACE.replace('"off"', 'active')}, spoofHold: 0.3}`,
  });
  const spoof = next('spoof');
  activeVerdict(doors, 'spoof', 'photo');
  await spoof;
  activeVerdict(doors, 'live', 't');
  const denied = next('denied');
  showThree(doors, ids.Anna ?? '');
  assert.equal((await denied).reason, 'spoof-in-view');
  assert.ok(!record().includes('unlocked'));
  const granted = next('granted');
  // Time alone ends the hold.
  const again = setInterval(() => show(doors, ids.Anna ?? ''), 50);
  t.after(() => clearInterval(again));
  assert.equal((await granted).track, 't');
});

test('twins: too near to the next person is no person', async (t) => {
  const { doors, ids, next, record } = await house(t);
  const denied = next('denied');
  showThree(doors, ids.Anna ?? '', { similarity: 0.8, runnerUp: 0.77 });
  assert.equal((await denied).reason, 'ambiguous');
  const close = next('denied');
  showThree(doors, ids.Anna ?? '', { track: 'cousins', similarity: 0.8, runnerUp: 0.72 });
  assert.equal((await close).reason, 'margin');
  assert.ok(!record().includes('unlocked'));
});

const hours = (from: string, to: string, clock = 'trusted') =>
  `access: {clock: ${clock}, zone: Europe/Berlin, rules: [{name: h, doors: [all], people: [Anna], when: [{days: [sun], from: "${from}", to: "${to}"}]}]}\n`;

function wallClock(start: string): { clock: Clock; set(text: string): void } {
  let offset = Date.parse(start) - systemClock.monotonic();
  return {
    clock: { monotonic: systemClock.monotonic, wall: () => systemClock.monotonic() + offset },
    set: (text) => {
      offset = Date.parse(text) - systemClock.monotonic();
    },
  };
}

test('a clock that nobody has set opens no hours', async (t) => {
  const { clock } = wallClock('2026-10-25T10:00:00+01:00');
  const trusted = await house(t, { clock, access: hours('09:00', '11:00') });
  const granted = trusted.next('granted');
  showThree(trusted.doors, trusted.ids.Anna ?? '');
  await granted;
  // The clock of the test's own machine against one that is years away from it: it was set, so it is not believed.
  const far = wallClock('2026-10-25T10:00:00+01:00');
  const kernel = await house(t, { clock: far.clock, access: hours('09:00', '11:00', 'kernel') });
  far.set('2027-10-31T10:00:00+01:00');
  const denied = kernel.next('denied');
  showThree(kernel.doors, kernel.ids.Anna ?? '');
  assert.equal((await denied).reason, 'clock-unsynchronised');
  assert.ok(!kernel.record().includes('unlocked'));
});

test('a clock that shows an hour which was over already: an order of that hour opens nothing, a code does', async (t) => {
  const { clock, set } = wallClock(new Date().toISOString());
  const { doors, store, ids } = await house(t, {
    clock,
    link: { others: obedientLock() },
    doors: `front: {lock: {driver: mqtt, commandTopic: bolt/set, stateTopic: bolt/state}, modes: [code], codes: [mqtt], remoteUnlock: true, coolDown: 0, pulse: 0.05}`,
    access: OPEN_ALWAYS.replace('clock: trusted', 'clock: kernel'),
    before: (before) => before.audit({ kind: 'start', actor: 'daemon', detail: {} }),
  });
  const order = { kind: 'lock', door: 'front' } as const;
  assert.equal((await doors.order({ ...order, id: 'now', action: 'unlock' })).outcome, 'granted');
  set(new Date(Date.now() - 3_600_000).toISOString());
  const old = await doors.order({ ...order, id: 'old', action: 'unlock' });
  assert.deepEqual(old, { outcome: 'denied', reason: 'clock-unsynchronised' });
  await doors.keys.add({ person: ids.Anna ?? '', method: 'code', secret: '471199', actor: 'cli' });
  const shown = { method: 'code', secret: '471199', reader: null } as const;
  assert.equal((await doors.order({ ...order, id: 'code', action: 'present', shown })).outcome, 'granted');
  await doors.stop();
  const denied = await store.exportAudit({ limit: 1000, kind: 'door.denied' });
  assert.deepEqual(
    denied.map(({ detail }) => detail.reason),
    ['clock-unsynchronised'],
  );
});

test('commands that no door hears of stand in the audit, a flood of them as a number', async (t) => {
  const { doors, store } = await house(t);
  for (let one = 0; one < 100; one++) doors.commandRefused({ reason: 'unsigned', id: `u${one}` });
  doors.commandRefused({ reason: 'not-json', id: null });
  await doors.stop();
  const rows = await store.exportAudit({ limit: 1000 });
  const refused = rows.filter(({ kind }) => kind === 'door.command-refused');
  assert.equal(refused.length, 21);
  assert.deepEqual(refused[0]?.detail, { reason: 'unsigned', request: 'u0' });
  const [withheld] = rows.filter(({ kind }) => kind === 'door.rows-withheld');
  assert.deepEqual(withheld?.detail, { rows: { 'door.command-refused unsigned': 80 } });
});

test('daylight saving at a window’s edge: the wall clock is what counts, in the missing and in the doubled hour', async (t) => {
  // 2026-03-29, 02:00 becomes 03:00; 2026-10-25, 03:00 becomes 02:00.
  const cases: readonly [string, boolean][] = [
    ['2026-03-29T01:59:30+01:00', false],
    ['2026-03-29T03:00:30+02:00', false],
    ['2026-10-25T02:30:00+02:00', true],
    ['2026-10-25T02:30:00+01:00', true],
    ['2026-10-25T03:00:30+01:00', false],
  ];
  const time = wallClock('2026-10-25T12:00:00+01:00');
  const { doors, ids, next } = await house(t, {
    clock: time.clock,
    access: hours('02:00', '03:00'),
    link: { others: obedientLock() },
    doors: `front: {lock: {driver: mqtt, commandTopic: bolt/set, stateTopic: bolt/state}, ${FACE}}`,
  });
  for (const [index, [at, opens]] of cases.entries()) {
    time.set(at);
    const answer = next(opens ? 'granted' : 'denied');
    const over = opens ? pulseOf(doors) : null;
    showThree(doors, ids.Anna ?? '', { track: `t${index}` });
    const { reason } = await answer;
    assert.equal(reason, opens ? null : 'outside-hours', at);
    await over;
  }
});

test('a wire that cannot be had is said, tried on, and no grant is called an unlock', async (t) => {
  const { doors, ids, next, kinds } = await house(t, {
    doors: `front: {lock: {driver: gpio, chip: /dev/gpiochip99, line: 1, whenPowerless: secure}, ${FACE}}`,
  });
  assert.equal(doors.doors[0]?.status.state, 'jammed');
  assert.match(doors.problems()[0]?.message ?? '', /^front: \/dev\/gpiochip99 .*cannot be used \(ENOENT\)/);
  const failed = next('unlock-failed');
  showThree(doors, ids.Anna ?? '');
  await failed;
  const rows = await kinds();
  assert.ok(rows.includes('door.granted') && rows.includes('door.unlock-failed'));
  assert.ok(!rows.includes('door.unlocked'));
});

test('contact and exit button: a door that opens by itself is forced, one that somebody leaves by is not', async (t) => {
  const feed = join(await temporaryDir(t), 'inputs');
  execFileSync('mkfifo', [feed]);
  const { doors, states, next, kinds } = await house(t, {
    doors: `front: {lock: {driver: recorder, file: RECORD, feed: ${feed}}, ${FACE}}`,
  });
  const say = (line: string) => writeFileSync(feed, `${line}\n`);
  const forced = next('forced');
  say('door open');
  assert.equal((await forced).door, 'front');
  assert.deepEqual(states.at(-1)?.doors.front, { state: 'locked', open: true });
  const pressed = new Promise<void>((resolve) => {
    const off = doors.doors[0]?.on('changed', ({ open }) => {
      if (open !== true) return;
      off?.();
      resolve();
    });
  });
  say('door closed\nexit pressed\ndoor open');
  await pressed;
  say('exit released\ndoor closed');
  await doors.stop();
  const written = await kinds();
  assert.equal(written.filter((kind) => kind === 'door.forced').length, 1);
  assert.equal(written.filter((kind) => kind === 'door.exit-pressed').length, 1);
});

test('other settings hold from the next look on; what needs a restart waits for it', async (t) => {
  const { doors, ids, next, record, configured } = await house(t);
  const reload = async (config: Config) => (await doors.prepare(config))();
  show(doors, ids.Anna ?? '');
  show(doors, ids.Anna ?? '');
  await reload(
    await configured(
      `front: {lock: {driver: gpio, line: 3, whenPowerless: safe}, ${FACE.replace('[face]', '[code]')}, codes: [control]}`,
      OPEN_ALWAYS,
    ),
  );
  showThree(doors, ids.Anna ?? '');
  await doors.keys.add({ person: 'Anna', method: 'code', secret: '4711', actor: 'cli' });
  const over = pulseOf(doors);
  const answer = await doors.methods.doorPresent({ door: 'front', method: 'code', secret: '4711' });
  assert.deepEqual(answer, { door: 'front', outcome: 'granted', reason: null });
  await over;
  await reload(await configured(`front: {lock: {driver: recorder, file: RECORD}, ${FACE}}`, 'access: {}'));
  const denied = next('denied');
  showThree(doors, ids.Anna ?? '', { track: 'again' });
  assert.equal((await denied).reason, 'no-rule');
  await doors.stop();
  assert.equal(record().match(/unlocked/g)?.length, 1, 'by the code, over the old lock');
});

test('settings that the old lock cannot bear are refused, and everything is as it was', async (t) => {
  const { doors, ids, next, configured } = await house(t);
  const lock = 'lock: {driver: recorder, file: RECORD, longest: 30}';
  const tooLong = await configured(`front: {${lock}, cameras: [porch], pulse: 20}`, 'access: {}');
  await assert.rejects(doors.prepare(tooLong), { code: 'door.policy-invalid' });
  // As before: by face, and Anna may.
  const granted = next('granted');
  showThree(doors, ids.Anna ?? '');
  assert.equal((await granted).path, 'face');
});

test('two doors, each with its own cameras and people', async (t) => {
  const lock = (name: string) => `lock: {driver: recorder, file: RECORD.${name}}`;
  const { doors, ids, next, told } = await house(t, {
    doors: `front: {${lock('f')}, ${FACE}}, back: {${lock('b')}, ${FACE.replace('porch', 'back')}}`,
    access:
      'access: {clock: trusted, rules: [{name: a, doors: [front], people: [Anna], when: always}, {name: b, doors: [back], people: [Bea], when: always}]}',
  });
  const denied = next('denied');
  showThree(doors, ids.Anna ?? '', { track: 'c', camera: 'back' });
  assert.equal((await denied).door, 'back');
  const front = next('granted');
  showThree(doors, ids.Anna ?? '', { track: 'a' });
  assert.equal((await front).door, 'front');
  const back = next('granted');
  showThree(doors, ids.Bea ?? '', { track: 'b', camera: 'back' });
  assert.equal((await back).door, 'back');
  assert.equal(told.filter(({ event }) => event === 'granted').length, 2);
});

test('the broker is lost in the middle of an unlock: it is not called one, and nothing opens when it is back', {
  skip: withoutMosquitto,
}, async (t) => {
  const broker = await startMosquitto(t);
  const wire = await Wire.lay(t, broker.port);
  const made = makeLink(t, { url: wire.url });
  const lock = await listen(t, broker.url, ['bolt/set']);
  await startLink(made);
  const { doors, ids, next, kinds } = await house(t, {
    link: made.link,
    doors: `front: {lock: {driver: mqtt, commandTopic: bolt/set, stateTopic: bolt/state, answer: 0.5}, ${FACE}}`,
  });
  const say = (state: string) => lock.client.publishAsync('bolt/state', state, { qos: 1, retain: true });
  // The first time all is well.
  const granted = next('granted');
  showThree(doors, ids.Anna ?? '', { track: 'first' });
  await granted;
  await lock.until(() => lock.on('bolt/set').length === 1);
  await say('UNLOCKED');
  await lock.until(() => lock.on('bolt/set').length === 2);
  await say('LOCKED');
  assert.deepEqual(lock.on('bolt/set'), ['UNLOCK', 'LOCK']);
  // The second time the connection goes when the command leaves.
  const failed = next('unlock-failed');
  wire.inspect = (chunk) => {
    if (!chunk.includes('UNLOCK')) return true;
    wire.cut();
    return false;
  };
  showThree(doors, ids.Anna ?? '', { track: 'second' });
  await failed;
  assert.equal(doors.doors[0]?.status.state, 'jammed');
  wire.inspect = () => true;
  wire.mend();
  await startedAgain(made.link);
  await say('LOCKED');
  await lock.client.publishAsync('bolt/set', 'last', { qos: 1 });
  await lock.until(() => lock.on('bolt/set').includes('last'));
  assert.equal(lock.on('bolt/set').filter((text) => text === 'UNLOCK').length, 1, 'it was not sent later');
  const rows = (await kinds()).filter((kind) => /granted|unlock/.test(kind));
  assert.deepEqual(rows, ['door.granted', 'door.unlocked', 'door.granted', 'door.unlock-failed']);
});

function startedAgain(link: MqttLink): Promise<void> {
  return new Promise((resolve) => {
    if (link.stats().connected) resolve();
    else link.on('connected', () => resolve());
  });
}
