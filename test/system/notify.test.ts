import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Notifier, systemdNotify, watchdogPeriod } from '../../src/system/notify.js';
import { ROOT } from '../helpers/data.js';
import { found, notifySocket } from '../helpers/notify-socket.js';

const skip =
  found('systemd-notify') && found('python3') ? false : 'needs systemd-notify and python3 (Debian packages)';

test('systemd hears what the service says, in order', { skip }, async (t) => {
  const { socket, next } = await notifySocket(t);
  const notifier = new Notifier({
    env: { ...process.env, NOTIFY_SOCKET: socket },
    onProblem: (reason) => assert.fail(reason),
  });
  void notifier.status('loading\nmodels');
  void notifier.ready('watching 2 cameras');
  void notifier.reloading();
  await notifier.stopping();
  assert.equal(await next(), 'STATUS=loading models');
  assert.equal(await next(), 'READY=1\nSTATUS=watching 2 cameras');
  assert.match(await next(), /^RELOADING=1\nMONOTONIC_USEC=\d+$/);
  assert.equal(await next(), 'STOPPING=1');
});

test('the watchdog is fed while there is life, and not after', { skip }, async (t) => {
  const { socket, next } = await notifySocket(t);
  const env = {
    ...process.env,
    NOTIFY_SOCKET: socket,
    WATCHDOG_USEC: '90000',
    WATCHDOG_PID: String(process.pid),
  };
  let alive = true;
  const sentWhenDead: string[] = [];
  const send = systemdNotify(env);
  const notifier = new Notifier({
    env,
    onProblem: (reason) => assert.fail(reason),
    send: (assignments) => {
      if (!alive) sentWhenDead.push(...assignments);
      return send(assignments);
    },
  });
  let asked = 0;
  const hung = new Promise<void>((resolve) => {
    assert.equal(
      notifier.watchdog(() => {
        if (!alive && ++asked === 3) resolve();
        return alive;
      }),
      30,
    );
  });
  // The timer does not keep a process alive; the test has to.
  const hold = setInterval(() => {}, 1000);
  t.after(() => clearInterval(hold));
  assert.equal(await next(), 'WATCHDOG=1');
  assert.equal(await next(), 'WATCHDOG=1');
  alive = false;
  await hung;
  await notifier.stopping();
  assert.deepEqual(sentWhenDead, ['STOPPING=1']);
  // Signs from before that were not read yet come first.
  let last = await next();
  while (last === 'WATCHDOG=1') last = await next();
  assert.equal(last, 'STOPPING=1');
});

test('signs of life do not pile up when they cannot be sent in time', async () => {
  let sends = 0;
  let asked = 0;
  const env = { NOTIFY_SOCKET: '/nonexistent', WATCHDOG_USEC: '3000' };
  const notifier = new Notifier({
    env,
    send: () => {
      sends++;
      return new Promise(() => {});
    },
  });
  const hold = setInterval(() => {}, 1000);
  await new Promise<void>((resolve) => {
    notifier.watchdog(() => {
      if (++asked === 20) resolve();
      return true;
    });
  });
  notifier.stopWatchdog();
  clearInterval(hold);
  assert.equal(sends, 1);
});

test('a start that comes forward has more time, and few words are made of it', { skip }, async (t) => {
  const { socket, next } = await notifySocket(t);
  let now = 1000;
  t.mock.method(performance, 'now', () => now);
  const notifier = new Notifier({
    env: { ...process.env, NOTIFY_SOCKET: socket },
    onProblem: (reason) => assert.fail(reason),
  });
  const unit = readFileSync(join(ROOT, 'systemd', 'faced.service'), 'utf8');
  const patience = `EXTEND_TIMEOUT_USEC=${Number(/^TimeoutStartSec=(\d+)$/m.exec(unit)?.[1]) * 1_000_000}`;
  for (let i = 0; i < 1000; i++) notifier.progress();
  now += 9999;
  notifier.progress();
  await notifier.status('a mark');
  now += 1;
  notifier.progress();
  await notifier.ready();
  assert.equal(await next(), patience);
  assert.equal(await next(), 'STATUS=a mark');
  assert.equal(await next(), patience);
  assert.match(await next(), /^READY=1/);
});

test('without systemd nothing is said and nothing is run', async () => {
  const sent: string[] = [];
  const notifier = new Notifier({
    env: { WATCHDOG_USEC: '1000' },
    send: async (assignments) => void sent.push(...assignments),
  });
  await notifier.ready();
  notifier.progress();
  await notifier.stopping();
  assert.equal(
    notifier.watchdog(() => true),
    null,
  );
  assert.deepEqual(sent, []);
});

test('that systemd cannot be told is said once, and nothing rejects', async () => {
  const problems: string[] = [];
  const notifier = new Notifier({
    env: { NOTIFY_SOCKET: '/nonexistent/socket' },
    onProblem: (reason) => problems.push(reason),
    send: async () => {
      throw new Error('no such program');
    },
  });
  await notifier.ready();
  await notifier.status('x');
  assert.deepEqual(problems, ['systemd cannot be told how the service is: no such program']);
});

test('the watchdog’s period is systemd’s, and for this process only', () => {
  assert.equal(watchdogPeriod({ WATCHDOG_USEC: '30000000' }), 30_000);
  assert.equal(watchdogPeriod({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '1' }, 2), null);
  assert.equal(watchdogPeriod({ WATCHDOG_USEC: '0' }), null);
  assert.equal(watchdogPeriod({}), null);
});
