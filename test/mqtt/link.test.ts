import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BROKERS, listen, startBroker, Wire } from '../helpers/broker.js';
import { makeLink, next, startLink } from '../helpers/broker-link.js';
import { MemoryOutbox } from '../helpers/broker-outbox.js';

const RECOGNITION = 'faced/door/recognition';
const STATUS = 'faced/door/status';
const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => JSON.stringify({ n: from + index }));
/** At least once allows repeats; the first occurrences must be complete and in order. */
const firsts = (payloads: readonly string[]) => [...new Set(payloads)];

for (const { kind, skip } of BROKERS) {
  test(`${kind}: says online and offline, retained, and speaks the newest MQTT there is`, {
    skip,
  }, async (t) => {
    const broker = await startBroker(t, kind);
    const made = makeLink(t, { url: broker.url, ...broker.own });
    const { version } = await startLink(made);
    assert.equal(version, kind === 'mosquitto' ? 5 : 4);
    const late = await listen(t, broker.url, [STATUS]);
    await late.until(() => late.on(STATUS).length === 1);
    assert.deepEqual(late.on(STATUS), ['online']);
    assert.equal(late.received[0]?.packet.retain, true);
    await made.link.stop();
    await late.until(() => late.on(STATUS).length === 2);
    assert.deepEqual(late.on(STATUS), ['online', 'offline']);
    const later = await listen(t, broker.url, [STATUS]);
    await later.until(() => later.on(STATUS).length === 1);
    assert.deepEqual(later.on(STATUS), ['offline']);
  });

  test(`${kind}: the Will speaks when the process is killed`, { skip }, async (t) => {
    const broker = await startBroker(t, kind);
    const listener = await listen(t, broker.url, [STATUS]);
    const child = fork(join(import.meta.dirname, 'link-child.js'), [
      JSON.stringify({ device: 'door', url: broker.url, ...broker.own }),
    ]);
    t.after(() => child.kill('SIGKILL'));
    await once(child, 'message');
    await listener.until(() => listener.on(STATUS).includes('online'));
    child.kill('SIGKILL');
    await listener.until(() => listener.on(STATUS).at(-1) === 'offline');
  });

  test(`${kind}: events arrive in order, are deleted when acknowledged, and idle reads nothing`, {
    skip,
  }, async (t) => {
    const broker = await startBroker(t, kind);
    const listener = await listen(t, broker.url, [RECOGNITION]);
    const made = makeLink(t, { url: broker.url, ...broker.own });
    await startLink(made);
    const expected = numbers(1, 300);
    for (const payload of expected) {
      made.outbox.record(RECOGNITION, payload);
      made.link.notify();
    }
    assert.equal(await made.link.drained(10_000), true);
    await listener.until(() => listener.received.length >= 300);
    assert.deepEqual(listener.on(RECOGNITION), expected);
    assert.ok(listener.received.every(({ packet }) => packet.qos === 1 && !packet.retain));
    const { reads } = made.outbox;
    await sleep(300);
    assert.equal(made.outbox.reads, reads);
  });

  test(`${kind}: nothing is lost or reordered when the broker dies and comes back empty`, {
    skip,
  }, async (t) => {
    const broker = await startBroker(t, kind);
    const wire = await Wire.lay(t, broker.port);
    const made = makeLink(t, { url: wire.url, ...broker.own });
    const before = await listen(t, broker.url, [RECOGNITION]);
    await startLink(made);
    for (const payload of numbers(1, 40)) made.outbox.record(RECOGNITION, payload);
    assert.equal(await made.link.drained(10_000), true);
    await before.until(() => before.received.length === 40);

    const lost = next(made.link, 'disconnected');
    wire.cut();
    await broker.kill();
    await lost;
    for (const payload of numbers(41, 100)) made.outbox.record(RECOGNITION, payload);
    made.link.notify();
    assert.equal(await made.link.drained(100), false);

    await broker.restart();
    const after = await listen(t, broker.url, [RECOGNITION, STATUS]);
    const again = next(made.link, 'connected');
    wire.mend();
    await again;
    assert.equal(await made.link.drained(10_000), true);
    await after.until(() => after.on(RECOGNITION).length >= 60);
    assert.deepEqual(firsts(after.on(RECOGNITION)), numbers(41, 100));
    assert.deepEqual(after.on(STATUS), ['online']);
    assert.equal(made.log.matching(/no connection to the MQTT broker/).length, 1, made.log.lines.join('\n'));
  });

  test(`${kind}: a wire that is cut again and again costs repeats, no event and no order`, {
    skip,
  }, async (t) => {
    const broker = await startBroker(t, kind);
    const wire = await Wire.lay(t, broker.port);
    const made = makeLink(t, { url: wire.url, ...broker.own });
    const listener = await listen(t, broker.url, [RECOGNITION]);
    await startLink(made);
    let chunks = 0;
    let cuts = 0;
    wire.inspect = () => ++chunks % 9 !== 0 || ++cuts > 6;
    for (let n = 1; n <= 300; n++) {
      made.outbox.record(RECOGNITION, JSON.stringify({ n }));
      made.link.notify();
      if (n % 10 === 0) await sleep(2);
    }
    assert.equal(await made.link.drained(20_000), true);
    await listener.until(() => firsts(listener.on(RECOGNITION)).length === 300);
    assert.ok(cuts >= 6, `only ${cuts} cuts`);
    assert.deepEqual(firsts(listener.on(RECOGNITION)), numbers(1, 300));
  });

  test(`${kind}: a new process carries on where the old one was killed`, { skip }, async (t) => {
    const broker = await startBroker(t, kind);
    const outbox = new MemoryOutbox();
    const listener = await listen(t, broker.url, [RECOGNITION]);
    for (const payload of numbers(1, 200)) outbox.record(RECOGNITION, payload);
    const wire = await Wire.lay(t, broker.port);
    const first = makeLink(t, { url: wire.url, ...broker.own }, { outbox });
    const started = next(first.link, 'published');
    await first.link.start(new AbortController().signal);
    await started;
    wire.cut();
    await first.link.stop();
    assert.ok(outbox.messages.length > 0, 'the first link was stopped too late to show anything');
    const second = makeLink(t, { url: broker.url, ...broker.own }, { outbox });
    await startLink(second);
    assert.equal(await second.link.drained(10_000), true);
    await listener.until(() => firsts(listener.on(RECOGNITION)).length === 200);
    assert.deepEqual(firsts(listener.on(RECOGNITION)), numbers(1, 200));
  });

  test(`${kind}: the last words of a stopping daemon are published, and then offline`, {
    skip,
  }, async (t) => {
    const broker = await startBroker(t, kind);
    const listener = await listen(t, broker.url, [RECOGNITION, STATUS]);
    const made = makeLink(t, { url: broker.url, ...broker.own });
    const terminated = new AbortController();
    const connected = next(made.link, 'connected');
    await made.link.start(terminated.signal);
    await connected;
    terminated.abort();
    made.outbox.record(RECOGNITION, '{}');
    assert.equal(await made.link.drained(5_000), true);
    await made.link.stop();
    await listener.until(() => listener.received.length === 3);
    assert.deepEqual(
      listener.received.map(({ payload }) => payload.toString()),
      ['online', '{}', 'offline'],
    );
  });

  test(`${kind}: retained reports come again after the broker forgot them; the rest is off unless asked for`, {
    skip,
  }, async (t) => {
    const broker = await startBroker(t, kind);
    const made = makeLink(t, { url: broker.url, ...broker.own });
    await startLink(made);
    const listener = await listen(t, broker.url, ['faced/door/#']);
    made.link.gallery({ v: 1, version: 3, people: 2, samples: 5 });
    made.link.gallery({ v: 1, version: 3, people: 2, samples: 5 });
    made.link.snapshot('front', new Uint8Array([0xff, 0xd8]));
    await listener.until(() => listener.on('faced/door/gallery').length > 0);
    await broker.kill();
    await broker.restart();
    await next(made.link, 'connected');
    const after = await listen(t, broker.url, ['faced/door/#']);
    await after.until(() => after.on('faced/door/gallery').length > 0);
    assert.equal(listener.on('faced/door/gallery').length, 1);
    assert.deepEqual(JSON.parse(after.on('faced/door/gallery')[0] ?? ''), {
      v: 1,
      version: 3,
      people: 2,
      samples: 5,
    });
    assert.deepEqual([...listener.on('faced/door/snapshot'), ...after.on('faced/door/snapshot')], []);
  });

  test(`${kind}: snapshots are sent as they are when asked for`, { skip }, async (t) => {
    const broker = await startBroker(t, kind);
    const made = makeLink(t, { url: broker.url, ...broker.own, snapshots: true });
    await startLink(made);
    const listener = await listen(t, broker.url, ['faced/door/snapshot'], {
      protocolVersion: kind === 'mosquitto' ? 5 : 4,
    });
    const jpeg = new Uint8Array([0xff, 0xd8, 0x00, 0xff, 0xd9]);
    made.link.snapshot('front', jpeg);
    await listener.until(() => listener.received.length === 1);
    assert.deepEqual(new Uint8Array(listener.received[0]?.payload ?? []), jpeg);
    if (kind === 'mosquitto')
      assert.equal(listener.received[0]?.packet.properties?.userProperties?.camera, 'front');
  });
}
