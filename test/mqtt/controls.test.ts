import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { HealthReport } from '../../src/mqtt/schemas.js';
import { listen, startMosquitto, withoutMosquitto } from '../helpers/broker.js';
import { makeLink, startLink } from '../helpers/broker-link.js';
import { facedIn } from '../helpers/faced.js';

const order = (id: string, more: object) =>
  JSON.stringify({ id, exp: Math.floor(Date.now() / 1000) + 20, ...more });

test('control/set: only where it is asked for, and only fresh, new, well-formed and not retained', {
  skip: withoutMosquitto,
}, async (t) => {
  const broker = await startMosquitto(t);
  const deaf = makeLink(t, { url: broker.url, device: 'deaf' });
  const made = makeLink(t, { url: broker.url, controls: true });
  await startLink(deaf);
  await startLink(made);
  const sender = await listen(t, broker.url, ['faced/+/control/result']);
  const send = (payload: string, retain = false, device = 'door') =>
    sender.client.publishAsync(`faced/${device}/control/set`, payload, { qos: 1, retain });
  await send(order('deaf', { action: 'pause' }), false, 'deaf');
  await send(order('late', { action: 'pause', exp: 1 }));
  await send(order('kept', { action: 'pause' }), true);
  await send(order('which', { action: 'snapshot' }));
  await send(order('odd', { action: 'pause', camera: 'porch' }));
  await send(order('good', { action: 'pause' }));
  await sender.until(() => sender.received.some(({ payload }) => payload.includes('"ok":true')));
  await send(order('good', { action: 'resume' }));
  await send(order('shot', { action: 'snapshot', camera: 'porch' }));
  await sender.until(() => sender.received.length === 7);
  assert.deepEqual(made.commands, [
    { kind: 'pause', id: 'good', paused: true },
    { kind: 'snapshot', id: 'shot', camera: 'porch' },
  ]);
  assert.deepEqual(deaf.commands, []);
});

test('recognition rests: nobody in view is looked at, until it goes on; a picture comes when it is asked for', {
  skip: withoutMosquitto,
}, async (t) => {
  const broker = await startMosquitto(t);
  const faced = await facedIn(t, {
    FACED_MQTT_URL: broker.url,
    FACED_DEVICE: 'd',
    FACED_MQTT_CONTROLS: 'true',
    FACED_MQTT_SNAPSHOTS: 'true',
    FACED_MQTT_ATTEMPTS: 'true',
    FACED_MQTT_HEALTH_EVERY: '5',
  });
  const house = await listen(t, broker.url, ['faced/d/#']);
  const daemon = faced.spawn('run', '--source', 'demo');
  const send = (id: string, more: object) =>
    house.client.publishAsync('faced/d/control/set', order(id, more), { qos: 1 });
  const result = async (id: string) => {
    await house.until(() => house.on('faced/d/control/result').some((text) => text.includes(`"${id}"`)));
    return JSON.parse(house.on('faced/d/control/result').find((text) => text.includes(`"${id}"`)) ?? '') as {
      ok: boolean;
      error?: { code: string };
    };
  };
  const received = () =>
    (JSON.parse(house.on('faced/d/health').at(-1) ?? '{}') as Partial<HealthReport>).cameras?.[0]?.received ??
    0;
  const attempts = () => house.on('faced/d/attempt').length;
  await house.until(() => attempts() > 0);
  assert.equal(house.on('faced/d/control/state').at(-1), '{"v":1,"recognition":"on"}');

  await send('off', { action: 'pause' });
  assert.equal((await result('off')).ok, true);
  assert.equal(house.on('faced/d/control/state').at(-1), '{"v":1,"recognition":"paused"}');
  const [before, frames] = [attempts(), received()];
  await house.until(() => received() > frames + 60);
  assert.ok(attempts() - before <= 1, 'one that was on its way at most');

  const { camera } = (JSON.parse(house.on('faced/d/health').at(-1) ?? '') as HealthReport).cameras[0] ?? {};
  await send('shot', { action: 'snapshot', camera });
  assert.equal((await result('shot')).ok, true);
  await house.until(() => house.received.some(({ topic }) => topic === 'faced/d/snapshot'));
  await send('nowhere', { action: 'snapshot', camera: 'nowhere' });
  assert.equal((await result('nowhere')).ok, false);

  await send('on', { action: 'resume' });
  const resumed = attempts();
  await house.until(() => attempts() > resumed);
  const { machine, cameras } = JSON.parse(house.on('faced/d/health').at(-1) ?? '') as HealthReport;
  assert.ok((cameras[0]?.fps ?? 0) > 0, 'the frame rate is known by now');
  assert.ok(machine.memoryLevel !== null);
  daemon.child.kill('SIGTERM');
  assert.equal(await daemon.ended, 0, daemon.stderr());
  // The demo has a state directory of its own.
  const place = await facedIn(t, { FACED_STATE_DIR: join(faced.stateDir, 'demo') });
  const { answer } = await place.json('audit', 'export');
  const kinds = (answer as { rows: { kind: string; actor: string }[] }).rows
    .filter(({ kind }) => kind.startsWith('recognition-'))
    .map(({ kind, actor }) => [kind, actor]);
  assert.deepEqual(kinds, [
    ['recognition-paused', 'mqtt'],
    ['recognition-resumed', 'mqtt'],
  ]);
});
