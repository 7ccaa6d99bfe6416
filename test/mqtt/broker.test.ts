import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { silentLogger } from '../../src/lib/log.js';
import { type BrokerOptions, createBroker } from '../../src/mqtt/broker.js';
import { closing, freePort, type Listener, listen, startBroker } from '../helpers/broker.js';
import { LogKeeper, makeLink, startLink } from '../helpers/broker-link.js';

const signal = () => new AbortController().signal;

async function start(t: TestContext, options: BrokerOptions = {}, log = new LogKeeper()) {
  const broker = createBroker({ port: 0, ...options }, { log });
  t.after(() => broker.stop());
  await broker.start(signal());
  return { broker, log, url: broker.url };
}

/** A connection that says nothing. */
function bare(url: string): Socket {
  return connect(Number(new URL(url).port), '127.0.0.1')
    .on('error', () => {})
    .resume();
}

/** Publishes and resolves when the broker has closed the connection on it. */
async function refused(sender: Listener, topic: string, options: object = {}): Promise<void> {
  const closed = closing(sender.client);
  sender.client.publish(topic, 'forged', { qos: 1, ...options });
  await closed;
}

test('only the daemon writes its topics; a stranger who tries is put out', async (t) => {
  const { broker, log, url } = await start(t, { reserved: ['homeassistant/device/faced_door/config'] });
  const made = makeLink(t, { url, ...broker.credentials });
  await startLink(made);
  const watcher = await listen(t, url, ['faced/#', '$SYS/#', 'house/#']);
  await watcher.until(() => watcher.on('faced/door/status').length === 1);
  const forbidden = [
    'faced/door/recognition',
    'faced/door/status',
    'faced/door/health',
    'faced/door/gallery',
    'faced/door/lock/state',
    'faced/door/enroll/result',
    'faced/door/enroll/set/x',
    'faced/other/recognition',
    'faced',
    '$SYS/x',
    '$other/x',
    // A forged announcement would put a lock of somebody else into Home Assistant under our name.
    'homeassistant/device/faced_door/config',
  ];
  for (const topic of forbidden) await refused(await listen(t, url, []), topic);
  await refused(await listen(t, url, []), 'faced/door/enroll/set', { retain: true });
  const polite = await listen(t, url, []);
  for (const topic of ['faced/door/lock/set', 'house/lamp'])
    await polite.client.publishAsync(topic, 'x', { qos: 1 });
  await watcher.until(() => watcher.on('house/lamp').length === 1);
  assert.deepEqual(
    watcher.received.map(({ topic }) => topic).filter((topic) => !topic.startsWith('$SYS/')),
    ['faced/door/status', 'faced/door/lock/set', 'house/lamp'],
  );
  assert.ok(watcher.received.every(({ payload }) => payload.toString() !== 'forged'));
  assert.equal(broker.stats().refused, forbidden.length + 1);
  assert.equal(log.matching(/refused a client/).length, 1);
  assert.equal(made.link.stats().connected, true);
});

test("a stranger's Will on the daemon's topics is not spoken", async (t) => {
  const { url } = await start(t);
  const watcher = await listen(t, url, ['#']);
  const will = (topic: string) => ({ topic, payload: Buffer.from('offline'), qos: 1 as const, retain: true });
  for (const topic of ['faced/door/status', 'house/will']) {
    const stranger = await listen(t, url, [], { will: will(topic) });
    stranger.client.stream.destroy();
    await closing(stranger.client);
  }
  await watcher.until(() => watcher.received.length > 0);
  assert.deepEqual(
    watcher.received.map(({ topic }) => topic),
    ['house/will'],
  );
});

test('the port is the next free one when it is taken, and the log says so', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const address = taken.address();
  assert.ok(address !== null && typeof address === 'object');
  const { broker, log } = await start(t, { port: address.port });
  assert.notEqual(new URL(broker.url).port, String(address.port));
  assert.equal(log.matching(/^warn the MQTT port is taken/).length, 1);
  await listen(t, broker.url, []);
});

test('it listens on the loopback address alone', async (t) => {
  const { broker, log } = await start(t);
  assert.equal(new URL(broker.url).hostname, '127.0.0.1');
  assert.equal(log.matching(/^warn/).length, 0);
  const open = await start(t, { host: '0.0.0.0' });
  assert.equal(open.log.matching(/^warn.*can be reached from the network/).length, 1);
});

test('clients, packets, subscriptions and retained messages are bounded', async (t) => {
  const { broker, url } = await start(t, {
    maxClients: 2,
    maxPacketBytes: 1_000,
    maxRetained: 2,
    maxRetainedBytes: 600,
    maxSubscriptions: 2,
  });
  const one = await listen(t, url, ['a', 'b']);
  await assert.rejects(one.client.subscribeAsync('c'));
  await one.client.unsubscribeAsync('a');
  await one.client.subscribeAsync('c');

  const [second, third] = [bare(url), bare(url)];
  await once(third, 'close');
  assert.equal(second.destroyed, false);
  second.destroy();
  await once(second, 'close');

  const retain = { qos: 1, retain: true } as const;
  const two = await listen(t, url, []);
  await two.client.publishAsync('r/1', 'x'.repeat(300), retain);
  await two.client.publishAsync('r/1', 'x'.repeat(200), retain);
  await two.client.publishAsync('r/2', 'x'.repeat(200), retain);
  await refused(two, 'r/3', retain);
  const three = await listen(t, url, []);
  await three.client.publishAsync('r/1', '', retain);
  await three.client.publishAsync('r/3', 'x', retain);
  const closed = closing(three.client);
  three.client.publish('big', 'x'.repeat(2_000), { qos: 1 });
  await closed;
  assert.ok(broker.stats().refused >= 3);
});

test('nothing is kept for a client that is away', async (t) => {
  const broker = await startBroker(t, 'embedded');
  const session = { clientId: 'sleeper', clean: false } as const;
  const first = await listen(t, broker.url, ['house/#'], session);
  await first.client.endAsync();
  const sender = await listen(t, broker.url, []);
  await sender.client.publishAsync('house/lamp', 'x', { qos: 1 });
  const second = await listen(t, broker.url, ['house/#'], session);
  await sender.client.publishAsync('house/lamp', 'y', { qos: 1 });
  await second.until(() => second.received.length > 0);
  assert.deepEqual(second.on('house/lamp'), ['y']);
});

test('it stops with clients connected and starts again on its port', async (t) => {
  const port = await freePort();
  const broker = createBroker({ port }, { log: silentLogger });
  t.after(() => broker.stop());
  for (let round = 0; round < 3; round++) {
    await broker.start(signal());
    assert.equal(broker.url, `mqtt://127.0.0.1:${port}`);
    const client = await listen(t, broker.url, ['x']);
    const closed = closing(client.client);
    await broker.stop();
    await closed;
  }
  await broker.stop();
  await assert.rejects(broker.start(AbortSignal.abort()));
});
