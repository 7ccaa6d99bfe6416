import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DoorPort } from '../../src/mqtt/command-forms.js';
import { listen, startMosquitto, withoutMosquitto } from '../helpers/broker.js';
import { makeLink, startLink } from '../helpers/broker-link.js';

const SET = 'faced/door/lock/set';
const RESULT = 'faced/door/lock/result';
const RIGHT = 'a'.repeat(64);
const DOOR: DoorPort = { doors: ['front'], authentic: (_order, hmac) => hmac === RIGHT };
const order = (id: string, change: object = {}) =>
  JSON.stringify({ id, exp: Date.now() / 1000 + 10, action: 'unlock', hmac: RIGHT, ...change });

test('lock/set: only a fresh, new, signed command that is not retained reaches the door', {
  skip: withoutMosquitto,
}, async (t) => {
  const broker = await startMosquitto(t);
  const told: string[] = [];
  const refused: DoorPort['refused'] = ({ reason, id }) => told.push(`${reason} ${id}`);
  const made = makeLink(t, { url: broker.url }, { door: { ...DOOR, refused } });
  await startLink(made);
  const sender = await listen(t, broker.url, [RESULT]);
  const send = (payload: string, retain = false) =>
    sender.client.publishAsync(SET, payload, { qos: 1, retain });
  await send(order('unsigned', { hmac: undefined }));
  await send(order('forged', { hmac: 'b'.repeat(64) }));
  await send(order('late', { exp: 1 }));
  await send(order('early', { exp: Date.now() / 1000 + 60 }));
  await send(order('elsewhere', { door: 'cellar' }));
  await send(order('kept'), true);
  await send('unlock');
  await send(order('good'));
  await sender.until(() => sender.on(RESULT).some((text) => text.includes('"ok":true')));
  await send(order('good'));
  await sender.until(() => sender.received.length === 8);
  assert.deepEqual(made.commands, [{ kind: 'lock', id: 'good', door: 'front', action: 'unlock' }]);
  assert.deepEqual(made.link.stats().commands, {
    accepted: 1,
    refused: {
      ...{ unsigned: 2, late: 1, 'too-far-ahead': 1, invalid: 1, retained: 1 },
      ...{ 'not-json': 1, repeated: 1 },
    },
  });
  assert.deepEqual(told, [
    ...['unsigned unsigned', 'unsigned forged', 'late late', 'too-far-ahead early', 'invalid elsewhere'],
    ...['retained kept', 'not-json null', 'repeated good'],
  ]);
});
