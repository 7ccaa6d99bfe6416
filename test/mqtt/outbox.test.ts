import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { monotonicFactory } from 'ulid';
import { EXAMPLE_EVENT } from '../../src/mqtt/catalogue.js';
import { OutboxPump, type Publisher } from '../../src/mqtt/outbox-pump.js';
import { openStore } from '../gallery/support.js';
import { BROKERS, listen, startBroker, startMosquitto, Wire, withoutMosquitto } from '../helpers/broker.js';
import { LogKeeper, makeLink, startLink } from '../helpers/broker-link.js';
import { MemoryOutbox } from '../helpers/broker-outbox.js';
import { ROOT } from '../helpers/data.js';
import { temporaryDir } from '../helpers/dirs.js';

const RECOGNITION = 'faced/door/recognition';

for (const { kind, skip } of BROKERS) {
  test(`${kind}: events of the real store arrive in order over cuts, and its outbox is empty then`, {
    skip,
  }, async (t) => {
    const broker = await startBroker(t, kind);
    const wire = await Wire.lay(t, broker.port);
    const { store } = await openStore(t);
    const made = makeLink(t, { url: wire.url, ...broker.own }, { outbox: store });
    const listener = await listen(t, broker.url, [RECOGNITION]);
    await startLink(made);
    const ulid = monotonicFactory();
    const ids: string[] = [];
    for (let n = 0; n < 60; n++) {
      const event = { ...EXAMPLE_EVENT, id: ulid() };
      ids.push(event.id);
      await store.recordEvent(event, [{ topic: RECOGNITION, payload: JSON.stringify(event) }]);
      made.link.notify();
      if (n % 20 === 10) wire.snip();
    }
    assert.equal(await made.link.drained(20_000), true);
    assert.equal((await store.outboxStats()).waiting, 0);
    const arrived = () => [
      ...new Set(listener.on(RECOGNITION).map((text) => (JSON.parse(text) as { id: string }).id)),
    ];
    await listener.until(() => arrived().length === ids.length);
    assert.deepEqual(arrived(), ids);
  });
}

/** A mosquitto with the access rules that docs/mqtt.md shows; every user's password is `secret`. */
async function guarded(t: TestContext) {
  const dir = await temporaryDir(t);
  const rules = /# \/etc\/mosquitto\/acl\n([\s\S]*?)```/.exec(
    readFileSync(join(ROOT, 'docs', 'mqtt.md'), 'utf8'),
  )?.[1];
  assert.ok(rules !== undefined);
  await writeFile(join(dir, 'acl'), rules);
  const passwords = join(dir, 'passwords');
  await writeFile(passwords, '');
  for (const user of ['faced-front-door', 'house', 'teacher'])
    execFileSync('mosquitto_passwd', ['-b', passwords, user, 'secret']);
  return startMosquitto(t, [
    'allow_anonymous false',
    `password_file ${passwords}`,
    `acl_file ${join(dir, 'acl')}`,
  ]);
}

test('the access rules of the documentation let each do its part and no more', {
  skip: withoutMosquitto,
}, async (t) => {
  const broker = await guarded(t);
  const as = (username: string, topics: string[]) =>
    listen(t, broker.url, topics, { username, password: 'secret', protocolVersion: 5 });
  const base = 'faced/front-door';
  const house = await as('house', [`${base}/recognition`, `${base}/status`, `${base}/enroll/result`]);
  const teacher = await as('teacher', [`${base}/recognition`, `${base}/enroll/result`]);
  const made = makeLink(t, {
    url: broker.url,
    device: 'front-door',
    username: 'faced-front-door',
    password: 'secret',
  });
  await startLink(made);
  assert.equal(made.log.matching(/^warn/).length, 0, made.log.lines.join('\n'));
  made.outbox.record(`${base}/recognition`, '{}');
  made.link.notify();
  assert.equal(await made.link.drained(5_000), true);
  await house.until(() => house.on(`${base}/recognition`).length === 1);

  const command = (id: string) =>
    JSON.stringify({ id, exp: Math.floor(Date.now() / 1000) + 60, name: 'Ada', camera: 'porch' });
  for (const topic of ['enroll/set', 'lock/set', 'control/set', 'recognition', 'status'].map(
    (one) => `${base}/${one}`,
  ))
    await assert.rejects(house.client.publishAsync(topic, command('house'), { qos: 1 }), { code: 0x87 });
  await assert.rejects(teacher.client.publishAsync(`${base}/recognition`, '{}', { qos: 1 }), { code: 0x87 });
  await teacher.client.publishAsync(`${base}/enroll/set`, command('teacher'), { qos: 1 });
  await teacher.until(() => teacher.on(`${base}/enroll/result`).length === 1);
  assert.deepEqual(
    made.commands.map(({ id }) => id),
    ['teacher'],
  );
  assert.deepEqual(teacher.on(`${base}/recognition`), []);
  assert.deepEqual(house.on(`${base}/enroll/result`), []);
});

test('an event that the broker refuses waits, and the reason is said once', {
  skip: withoutMosquitto,
}, async (t) => {
  const broker = await guarded(t);
  // The device has no rules under this name, so MQTT 5 answers "not authorized".
  const made = makeLink(t, {
    url: broker.url,
    device: 'other',
    username: 'faced-front-door',
    password: 'secret',
  });
  await startLink(made);
  made.outbox.record('faced/other/recognition', '{}');
  made.link.notify();
  assert.equal(await made.link.drained(1_500), false);
  assert.equal(made.outbox.messages.length, 1);
  assert.equal(made.log.matching(/events cannot be published now/).length, 1);
  assert.equal(made.link.stats().connected, true);
});

/** A connection whose acknowledgements the test gives out; what is unanswered fails when it is gone. */
function slowPublisher(receiveMaximum: number) {
  const gone = new AbortController();
  const sent: { payload: string; acknowledge(): void }[] = [];
  let open = 0;
  let most = 0;
  const publisher: Publisher = {
    gone: gone.signal,
    receiveMaximum,
    publish: (_topic, payload) => {
      most = Math.max(most, ++open);
      return new Promise<void>((resolve, reject) => {
        sent.push({ payload, acknowledge: resolve });
        gone.signal.addEventListener('abort', () => reject(new Error('lost')));
      }).finally(() => open--);
    },
  };
  return { publisher, sent, gone, most: () => most };
}

async function until(done: () => boolean): Promise<void> {
  for (let turn = 0; !done(); turn++) {
    assert.ok(turn < 1_000, 'waited in vain');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

for (const [receiveMaximum, window] of [
  [65_535, 8],
  [3, 3],
] as const) {
  test(`the pump keeps ${window} under way when the broker takes ${receiveMaximum}, and deletes what was acknowledged`, async () => {
    const outbox = new MemoryOutbox();
    for (let n = 1; n <= 20; n++) outbox.record('t', String(n));
    const { publisher, sent, gone, most } = slowPublisher(receiveMaximum);
    const published: number[] = [];
    const pump = new OutboxPump({
      outbox,
      log: new LogKeeper(),
      published: ({ seq }) => published.push(seq),
    });
    pump.attach(publisher);
    await until(() => sent.length === window);
    // The first is still open, so the second does not count yet.
    sent[1]?.acknowledge();
    await until(() => true);
    assert.deepEqual(published, []);
    sent[0]?.acknowledge();
    await until(() => sent.length === window + 2);
    assert.deepEqual(published, [1, 2]);
    sent[3]?.acknowledge();
    gone.abort();
    await pump.settled();
    assert.equal(most(), window);
    assert.equal(outbox.messages[0]?.payload, '3');

    const next = slowPublisher(receiveMaximum);
    pump.attach(next.publisher);
    await until(() => next.sent.length === window);
    assert.equal(next.sent[0]?.payload, '3');
    next.gone.abort();
    await pump.settled();
  });
}

test('the pump comes back to a store that failed, and says so once', async () => {
  const outbox = new MemoryOutbox();
  outbox.record('t', '1');
  const log = new LogKeeper();
  let failures = 2;
  const flaky = {
    outbox: async (limit: number) => {
      if (failures-- > 0) throw new Error('locked');
      return outbox.outbox(limit);
    },
    acknowledge: (upToSeq: number) => outbox.acknowledge(upToSeq),
    outboxStats: () => outbox.outboxStats(),
  };
  const { publisher, sent, gone } = slowPublisher(10);
  const pump = new OutboxPump({ outbox: flaky, log, published: () => {} });
  pump.attach(publisher);
  const drained = pump.drained(5_000);
  while (sent.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  sent[0]?.acknowledge();
  assert.equal(await drained, true);
  gone.abort();
  await pump.settled();
  assert.equal(log.matching(/locked/).length, 1);
});
