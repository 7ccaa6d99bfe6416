import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ulid } from 'ulid';
import type { AccessPolicy } from '../../src/door/access.js';
import { AuditTrail } from '../../src/door/audit-trail.js';
import { SecretBookFile } from '../../src/door/book-file.js';
import { KernelClockTrust } from '../../src/door/clock-trust.js';
import { commandMac, hasValidMac } from '../../src/door/command-mac.js';
import { FloodedRows } from '../../src/door/flooded-rows.js';
import { type DoorEvent, DoorKeys, type DoorOptions, openDoors } from '../../src/door/index.js';
import { MqttLock } from '../../src/door/mqtt-lock.js';
import { systemClock } from '../../src/lib/clock.js';
import type { AuditEntry, Judged } from '../../src/pipeline/ports.js';
import { temporaryDir } from '../helpers/dirs.js';

const ACCESS: AccessPolicy = {
  zone: 'UTC',
  groups: {},
  holidays: [],
  guests: [],
  rules: [{ id: 'r', doors: 'all', people: ['anna'], when: 'always' }],
};

interface House {
  readonly options?: Partial<DoorOptions>;
  readonly audit?: (entry: AuditEntry) => Promise<void>;
}

async function house(t: TestContext, { options = {}, audit }: House = {}) {
  const stateDir = await temporaryDir(t);
  const file = join(stateDir, 'record');
  const rows: AuditEntry[] = [];
  const doors = await openDoors(
    {
      doors: [
        {
          id: 'front',
          modes: ['face', 'code'],
          trustedCameras: ['porch'],
          credentialSources: ['wiegand'],
          pulseMs: 200,
          sure: { liveness: 'off', spanMs: 0 },
          lock: { driver: 'recorder', file, longestMs: 1000 },
          ...options,
        },
      ],
      access: ACCESS,
      cameras: { porch: 'v4l2:/dev/video0', clip: 'file:clip.avi' },
      stateDir,
      clockSource: 'trusted',
    },
    {
      clock: systemClock,
      newId: ulid,
      onError: (error) => assert.fail(String(error)),
      audit: audit ?? (async (entry) => void rows.push(entry)),
    },
  );
  t.after(() => doors.stop());
  await doors.start(new AbortController().signal);
  const [door] = doors.doors;
  assert.ok(door !== undefined);
  const told: DoorEvent[] = [];
  door.on('told', (event) => told.push(event));
  const record = () => readFileSync(file, 'utf8');
  return { doors, door, rows, told, record, stateDir };
}

function seen(more: Partial<Judged['sighting']> = {}): Judged {
  const evidence = { similarity: 0.8, runnerUp: 0.1, threshold: 0.4 };
  const quality = { size: 100, sharpness: 200, yaw: 0, pitch: 0, roll: 0, brightness: 120, score: 0.9 };
  return {
    decision: { kind: 'known', person: { id: 'anna', name: 'Anna' }, evidence },
    sighting: {
      camera: 'porch',
      track: 't',
      capturedAt: { monotonicMs: systemClock.monotonic(), wallMs: systemClock.wall() },
      box: [0, 0, 100, 100],
      frame: [640, 480],
      quality,
      embedding: null,
      poor: null,
      liveness: null,
      final: false,
      ...more,
    },
  };
}

function nextTold(
  door: Awaited<ReturnType<typeof house>>['door'],
  event: DoorEvent['event'],
): Promise<DoorEvent> {
  return new Promise((resolve) => {
    door.on('told', (told) => {
      if (told.event === event) resolve(told);
    });
  });
}

test('three looks at Anna open the real recorder, and the audit was there first', async (t) => {
  let unlockedWhenWritten: boolean | null = null;
  const rows: AuditEntry[] = [];
  const { door, record } = await house(t, {
    audit: async (entry) => {
      rows.push(entry);
      if (entry.kind === 'door.granted') unlockedWhenWritten = record().includes('unlocked');
    },
  });
  const granted = nextTold(door, 'granted');
  for (const _ of [1, 2, 3]) door.sighted(seen());
  assert.equal((await granted).person, 'anna');
  await new Promise<void>((resolve) => door.on('changed', ({ state }) => state === 'locked' && resolve()));
  assert.match(record(), /unlocked high\n.* locked low\n$/);
  assert.equal(unlockedWhenWritten, false);
  assert.ok(rows.some(({ kind }) => kind === 'door.unlocked'));
  assert.ok(!JSON.stringify(rows).includes('Anna'), 'people stand in the audit by id');
});

test('no audit, no opening; the other rows wait and are written later', async (t) => {
  let broken = true;
  const rows: string[] = [];
  const { doors, door, record } = await house(t, {
    audit: async (entry) => {
      if (broken) throw new Error('disk full');
      rows.push(entry.kind);
    },
  });
  await doors.secrets.add({ id: '1', person: 'anna', method: 'code', secret: '472913' });
  const shown = { source: 'wiegand', method: 'code', secret: '472913', request: 'q' } as const;
  assert.deepEqual(await door.present(shown), { outcome: 'denied', reason: 'audit-failed' });
  assert.ok(!record().includes('unlocked'));
  assert.ok(door.auditWaiting > 0);
  broken = false;
  assert.deepEqual(await door.present(shown), { outcome: 'granted', reason: null });
  assert.ok(rows.indexOf('door.denied') < rows.indexOf('door.granted'), 'in order, and none is lost');
});

test('a row that waits when the door stops is tried once more', async (t) => {
  let broken = true;
  const kinds: string[] = [];
  const { doors, door } = await house(t, {
    audit: async ({ kind }) => {
      if (broken) throw new Error('disk full');
      kinds.push(kind);
    },
  });
  await door.command({ action: 'unlock', request: 'r', actor: 'mqtt', authorised: true, fresh: true });
  assert.ok(door.auditWaiting > 0);
  broken = false;
  await doors.stop();
  assert.ok(kinds.includes('door.denied'));
  assert.equal(door.auditWaiting, 0);
});

test('a clip opens nothing, whatever its camera is called', async (t) => {
  const { door, record } = await house(t);
  for (const mediaMs of [0, 100, 200, 300]) door.sighted(seen({ mediaMs }));
  assert.deepEqual(await door.present({ source: 'internet', method: 'code', secret: '1', request: 'q' }), {
    outcome: 'denied',
    reason: 'untrusted-source',
  });
  assert.ok(!record().includes('unlocked'));
});

test('a flood of commands opens once, and each of them is accounted for in the audit', async (t) => {
  const { doors, door, record, rows } = await house(t, { options: { remoteUnlock: true } });
  // The holder is a process of its own: what it did is in the record when the pulse is over.
  const over = new Promise<void>((resolve) => {
    let opened = false;
    door.on('changed', ({ state }) => {
      opened ||= state === 'unlocked';
      if (opened && state === 'locked') resolve();
    });
  });
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, one) =>
      door.command({ action: 'unlock', request: `c${one}`, actor: 'mqtt', authorised: true, fresh: true }),
    ),
  );
  assert.equal(answers.filter(({ outcome }) => outcome === 'granted').length, 1);
  await over;
  assert.equal(record().match(/unlocked/g)?.length, 1);
  await doors.stop();
  const written = (kind: string) => rows.filter((row) => row.kind === kind);
  assert.equal(written('door.granted').length, 1);
  assert.equal(written('door.denied').length, 20, 'a flood does not fill the disk');
  assert.deepEqual(
    written('door.rows-withheld').map(({ detail }) => detail),
    [{ door: 'front', rows: { 'door.denied busy': 179 } }],
  );
  const late = await door.command({
    action: 'unlock',
    request: 'late',
    actor: 'mqtt',
    authorised: true,
    fresh: true,
  });
  assert.equal(late.outcome, 'denied', 'who asks a door that has ended is answered');
});

test('more codes at once than are compared: each refusal is in the audit, and so is each order to lock', async (t) => {
  const { doors, door, rows } = await house(t);
  const shown = { source: 'wiegand', method: 'badge', secret: '001:12345' } as const;
  const answers = await Promise.all(
    Array.from({ length: 30 }, (_, one) => door.present({ ...shown, request: `p${one}` })),
  );
  assert.equal(answers.filter(({ reason }) => reason === 'wrong-secret').length, 2);
  const lock = { action: 'lock', actor: 'mqtt', authorised: true, fresh: true } as const;
  for (let one = 0; one < 25; one++)
    assert.equal((await door.command({ ...lock, request: `l${one}` })).outcome, 'granted');
  await doors.stop();
  const count = (kind: string, reason?: string) =>
    rows.filter((row) => row.kind === kind && row.detail.reason === reason).length;
  assert.deepEqual([count('door.denied', 'busy'), count('door.denied', 'wrong-secret')], [20, 2]);
  assert.equal(count('door.lock-ordered'), 20);
  const [withheld] = rows.filter(({ kind }) => kind === 'door.rows-withheld');
  assert.deepEqual(withheld?.detail.rows, { 'door.denied busy': 8, 'door.lock-ordered': 5 });
});

test('rows of a flood: a count every five seconds, each reason for itself, and again one by one a minute later', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  const written: AuditEntry[] = [];
  const flooded = new FloodedRows((entry) => written.push(entry), { monotonic: () => now });
  const note = (reason: string, times: number) => {
    for (let one = 0; one < times; one++)
      flooded.note({ kind: 'door.denied', actor: 'daemon', detail: { reason } });
  };
  note('busy', 1000);
  note('wrong-secret', 3);
  assert.deepEqual(
    [20, 3],
    ['busy', 'wrong-secret'].map((reason) => written.filter(({ detail }) => detail.reason === reason).length),
  );
  now = 5000;
  t.mock.timers.tick(5000);
  assert.deepEqual(written.at(-1), {
    kind: 'door.rows-withheld',
    actor: 'daemon',
    detail: { rows: { 'door.denied busy': 980 } },
  });
  note('busy', 1);
  now = 60_000;
  note('busy', 1);
  assert.equal(written.at(-1)?.kind, 'door.denied');
  flooded.stop();
  assert.deepEqual(written.at(-1)?.detail, { rows: { 'door.denied busy': 1 } });
  const { length } = written;
  flooded.stop();
  t.mock.timers.tick(60_000);
  assert.equal(written.length, length, 'nothing is counted twice');
});

test('a removed person’s code is gone', async (t) => {
  const { doors, door } = await house(t);
  await doors.secrets.add({ id: '1', person: 'anna', method: 'badge', secret: '001:12345' });
  await doors.removePerson('anna');
  const answer = await door.present({
    source: 'wiegand',
    method: 'badge',
    secret: '001:12345',
    request: 'q',
  });
  assert.equal(answer.reason, 'wrong-secret');
});

test('settings that cannot be right are refused, all at once', async (t) => {
  await assert.rejects(
    house(t, { options: { id: 'Front Door', trustedCameras: ['clip', 'none'], pulseMs: 5000 } }),
    ({ code, message }: { code: string; message: string }) => {
      assert.equal(code, 'door.policy-invalid');
      assert.equal(message.split('\n').length, 4);
      return true;
    },
  );
});

test('a code that cannot be written into the audit is neither given nor taken away', async (t) => {
  const stateDir = await temporaryDir(t);
  const book = await SecretBookFile.open(stateDir);
  let broken = true;
  const inFile: number[] = [];
  const keys = new DoorKeys(book, {
    people: async () => [{ id: 'anna', name: 'Anna', samples: 1, createdAt: 0, updatedAt: 0 }],
    audit: async () => {
      inFile.push((await SecretBookFile.open(stateDir)).list().length);
      if (broken) throw new Error('disk full');
    },
  });
  const key = { person: 'Anna', method: 'code', secret: '472913', actor: 'cli' } as const;
  await assert.rejects(keys.add(key), /disk full/);
  assert.equal(await book.personOf('code', key.secret), null);
  assert.deepEqual((await SecretBookFile.open(stateDir)).list(), []);
  broken = false;
  await keys.add(key);
  broken = true;
  await assert.rejects(keys.remove({ person: 'Anna', actor: 'cli' }), /disk full/);
  assert.equal(await book.personOf('code', key.secret), 'anna');
  assert.deepEqual(
    inFile,
    [0, 0, 1],
    'the row comes first: no code is left at the next start of which nothing was written',
  );
  assert.deepEqual(readdirSync(stateDir), ['credentials.json']);
});

test('the book of secrets: readable for its owner alone, and one that is damaged opens nothing', async (t) => {
  const dir = await temporaryDir(t);
  const book = await SecretBookFile.open(dir);
  await book.add({ id: '1', person: 'anna', method: 'code', secret: '472913' });
  const path = join(dir, 'credentials.json');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(await (await SecretBookFile.open(dir)).personOf('code', '472913'), 'anna');
  for (const text of ['', '{}', 'null', '{"v":1,"salt":"x","credentials":[]}']) {
    writeFileSync(path, text);
    await assert.rejects(SecretBookFile.open(dir), { code: 'door.policy-invalid' });
  }
});

test('an audit trail that overflows counts what it lost', async () => {
  let broken = true;
  const rows: AuditEntry[] = [];
  let now = 0;
  const trail = new AuditTrail(
    async (entry) => {
      if (broken) throw new Error('disk full');
      rows.push(entry);
    },
    () => now,
  );
  for (let one = 0; one < 1005; one++) trail.note({ kind: 'x', actor: 'daemon', detail: { one } });
  broken = false;
  now = 90_000;
  await trail.write({ kind: 'last', actor: 'daemon', detail: {} });
  assert.equal(rows.length, 1002);
  assert.deepEqual(rows[0]?.detail, { one: 0, lateMs: 90_000 }, 'a row tells when it happened');
  assert.deepEqual(rows.at(-2)?.detail, { count: 5 });
  assert.equal(rows.at(-1)?.kind, 'last');
  await trail.stop();
});

test('a clock that jumps is not believed until the kernel was asked again', async (t) => {
  const time = { wall: 1_000_000, monotonic: 0 };
  let answer = true;
  const trust = new KernelClockTrust(
    { wall: () => time.wall, monotonic: () => time.monotonic },
    async () => answer,
  );
  t.after(() => trust.stop());
  assert.equal(trust.synchronised(), false, 'nobody was asked yet');
  await trust.start(new AbortController().signal);
  assert.equal(trust.synchronised(), true);
  answer = false;
  time.wall += 86_400_000;
  assert.equal(trust.synchronised(), false);
});

/** A lock over MQTT whose broker is a function; `t` holds the timers. */
async function mqttLock(t: TestContext, answerMs: number, publish: (payload: string) => Promise<void>) {
  let say: (payload: string) => void = () => {};
  const lock = new MqttLock(
    {
      driver: 'mqtt',
      commandTopic: 'lock/set',
      unlockPayload: 'UNLOCK',
      lockPayload: 'LOCK',
      stateTopic: 'lock/state',
      states: { locked: 'LOCKED', unlocked: 'UNLOCKED', jammed: 'JAMMED' },
      answerMs,
    },
    {
      clock: systemClock,
      onError: (error) => assert.fail(String(error)),
      port: {
        publish: (_topic, payload) => publish(payload),
        subscribe: (_topic, listener) => {
          say = listener;
          return () => {};
        },
      },
    },
  );
  const news: string[] = [];
  lock.on('failed', ({ code }) => news.push(code));
  lock.on('recovered', () => news.push('recovered'));
  t.after(() => {
    t.mock.timers.reset();
    return lock.stop();
  });
  await lock.start(new AbortController().signal);
  return { lock, news, say: (payload: string) => say(payload) };
}

test('a lock over MQTT: what it does not confirm is not known, and nothing is sent later', async (t) => {
  const sent: string[] = [];
  let connected = true;
  const { lock, say } = await mqttLock(t, 50, async (payload) => {
    if (!connected) throw new Error('not connected');
    sent.push(payload);
  });
  const opened = lock.unlock(10_000);
  say('nonsense');
  say('UNLOCKED');
  await opened;
  await assert.rejects(lock.unlock(10_000), { code: 'door.lock-silent' });
  const jammed = lock.unlock(10_000);
  say('JAMMED');
  await assert.rejects(jammed, { code: 'door.lock-failed' });
  connected = false;
  await assert.rejects(lock.unlock(10_000), { code: 'door.lock-failed' }, 'the broker is lost');
  assert.deepEqual(sent, ['UNLOCK', 'UNLOCK', 'UNLOCK']);
});

test('a lock over MQTT: a broker that hangs in the middle of an unlock costs the unlock, not the daemon', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const sent: string[] = [];
  // It takes the message and never acknowledges it.
  const { lock, news } = await mqttLock(t, 500, (payload) => {
    sent.push(payload);
    return new Promise(() => {});
  });
  const refused = assert.rejects(lock.unlock(3000), { code: 'door.lock-silent' });
  t.mock.timers.tick(500);
  await refused;
  t.mock.timers.tick(2500);
  assert.deepEqual(sent, ['UNLOCK', 'LOCK'], 'it may have opened all the same');
  t.mock.timers.tick(500);
  await turn();
  assert.deepEqual(news, ['door.lock-silent']);
});

test('a lock over MQTT: what the lock says counts, also when the broker never acknowledges the order', async (t) => {
  const { lock, say } = await mqttLock(t, 500, () => new Promise(() => {}));
  const opened = lock.unlock(10_000);
  say('UNLOCKED');
  await opened;
  const shut = lock.lock();
  say('LOCKED');
  await shut;
});

test('a lock over MQTT: locking is tried until the lock says that it did, a bolt that is stuck is left alone', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const sent: string[] = [];
  let connected = true;
  const { lock, news, say } = await mqttLock(t, 500, async (payload) => {
    if (!connected) throw new Error('not connected');
    sent.push(payload);
  });
  const opened = lock.unlock(3000);
  say('UNLOCKED');
  await opened;
  connected = false;
  t.mock.timers.tick(3000);
  await turn();
  assert.deepEqual(news, ['door.lock-failed']);
  connected = true;
  t.mock.timers.tick(1000);
  assert.deepEqual(sent, ['UNLOCK', 'LOCK']);
  t.mock.timers.tick(500);
  await turn();
  t.mock.timers.tick(2000);
  assert.deepEqual(sent, ['UNLOCK', 'LOCK', 'LOCK'], 'it was silent');
  say('LOCKED');
  await turn();
  t.mock.timers.tick(120_000);
  assert.equal(sent.length, 3);
  assert.deepEqual(news, ['door.lock-failed', 'recovered'], 'said once');

  const again = lock.unlock(3000);
  say('UNLOCKED');
  await again;
  t.mock.timers.tick(3000);
  say('JAMMED');
  await turn();
  t.mock.timers.tick(120_000);
  assert.deepEqual(sent.slice(3), ['UNLOCK', 'LOCK']);

  connected = false;
  await assert.rejects(lock.unlock(3000), { code: 'door.lock-failed' });
  t.mock.timers.tick(3000);
  await turn();
  connected = true;
  t.mock.timers.tick(1000);
  assert.deepEqual(sent.slice(5), ['LOCK'], 'that it was stuck before says nothing of now');

  const twice = Promise.all([lock.lock(), lock.lock()]);
  say('LOCKED');
  await twice;
});

test('a lock over MQTT that shut by itself, and says so once, is told to lock once and is well; open again, it is told again', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const sent: string[] = [];
  const { lock, news, say } = await mqttLock(t, 500, async (payload) => {
    sent.push(payload);
  });
  for (const [last, wanted] of [
    ['LOCKED', ['UNLOCK', 'LOCK']],
    ['UNLOCKED', ['UNLOCK', 'LOCK', 'LOCK']],
  ] as const) {
    sent.length = 0;
    const opened = lock.unlock(3000);
    say('UNLOCKED');
    await opened;
    say('LOCKED');
    say(last);
    t.mock.timers.tick(3000);
    t.mock.timers.tick(500);
    await turn();
    t.mock.timers.tick(1000);
    assert.deepEqual(sent, wanted);
  }
  assert.deepEqual(news, ['door.lock-silent']);
});

test('the MAC of a command covers every field', () => {
  const key = Buffer.alloc(32, 7);
  const command = { device: 'house', door: 'front', action: 'unlock', id: 'a', exp: 1_800_000_000 };
  const mac = commandMac(key, command);
  assert.ok(hasValidMac(key, command, mac));
  for (const changed of [{ device: 'x' }, { door: 'x' }, { action: 'lock' }, { id: 'b' }, { exp: 1 }]) {
    assert.ok(!hasValidMac(key, { ...command, ...changed }, mac));
  }
  assert.ok(!hasValidMac(Buffer.alloc(32, 8), command, mac));
  for (const wrong of [null, '', 'x'.repeat(64), mac.slice(1)]) assert.ok(!hasValidMac(key, command, wrong));
});
