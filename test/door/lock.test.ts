import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { HOLDER, HolderLock } from '../../src/door/holder.js';
import type { LockOptions } from '../../src/door/lock.js';
import { openLock } from '../../src/door/open-lock.js';
import { systemClock } from '../../src/lib/clock.js';
import { ROOT } from '../helpers/data.js';
import { temporaryDir } from '../helpers/dirs.js';

const FAKE_GPIO = join(ROOT, 'native/lock/build/fake-gpio.so');
const LONGEST_MS = 600;

before(() => {
  execFileSync('make', ['-s', '-C', join(ROOT, 'native/lock'), 'build/faced-lock', 'build/fake-gpio.so']);
});

function lines(file: string): string[] {
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
}

/** `unlocked high`, without the time. */
function record(file: string): string[] {
  return lines(file).map((line) => line.slice(line.indexOf(' ') + 1));
}

async function until(condition: () => boolean, what: string, limitMs = 5000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!condition()) {
    assert.ok(performance.now() < end, `${what} did not happen within ${limitMs} ms`);
    await sleep(10);
  }
}

/** How long the line was unlocked, from the record's own times. */
function pulses(file: string): number[] {
  const rows = lines(file).map((line) => line.split(' '));
  return rows.flatMap(([at, to], index) => {
    const next = rows[index + 1];
    return to === 'unlocked' && next !== undefined ? [Number(next[0]) - Number(at)] : [];
  });
}

async function recorder(t: TestContext, more: Partial<Extract<LockOptions, { driver: 'recorder' }>> = {}) {
  const dir = await temporaryDir(t);
  const file = join(dir, 'record');
  const options = { driver: 'recorder', file, longestMs: LONGEST_MS, ...more } as const;
  const lock = new HolderLock(options, {
    clock: systemClock,
    owner: join(dir, 'owner'),
    onError: (error) => assert.fail(String(error)),
  });
  const moves: string[] = [];
  lock.on('moved', ({ to }) => moves.push(to));
  await started(t, lock, join(dir, 'owner'));
  return { dir, file, lock, moves };
}

/** The holder of a fail-safe door stays when its lock is stopped: the test ends it. */
async function started(t: TestContext, lock: HolderLock, ownerFile: string): Promise<void> {
  let holder = 0;
  t.after(async () => {
    await lock.stop();
    if (holder > 0 && isAlive(holder)) process.kill(holder, 'SIGKILL');
  });
  await lock.start(new AbortController().signal);
  holder = Number(readFileSync(ownerFile, 'utf8'));
}

test('a pulse opens and ends', async (t) => {
  const { file, lock, moves } = await recorder(t);
  await lock.unlock(100);
  await until(() => moves.length === 3, 'locking again');
  assert.deepEqual(moves, ['locked', 'unlocked', 'locked']);
  assert.deepEqual(record(file), ['locked low', 'unlocked high', 'locked low']);
  assert.ok((pulses(file)[0] ?? 0) >= 100);
});

for (const [name, more, rest, open] of [
  ['fail-secure, active high', {}, 'low', 'high'],
  ['fail-secure, active low', { activeLow: true }, 'high', 'low'],
  ['fail-safe, active high', { whenPowerless: 'safe' }, 'high', 'low'],
  ['fail-safe, active low', { whenPowerless: 'safe', activeLow: true }, 'low', 'high'],
] as const) {
  test(`${name}: at rest ${rest}`, async (t) => {
    const { file, lock } = await recorder(t, more);
    await lock.unlock(1000);
    await lock.lock();
    assert.deepEqual(record(file), [`locked ${rest}`, `unlocked ${open}`, `locked ${rest}`]);
  });
}

test('no order holds the door open: a pulse is no longer than the longest, however often it is renewed', async (t) => {
  const { file, lock, moves } = await recorder(t);
  await lock.unlock(600_000);
  for (let one = 0; one < 5; one++) {
    await sleep(50);
    await lock.unlock(600_000);
  }
  await until(() => moves.length === 3, 'locking');
  await assert.rejects(lock.unlock(100), { code: 'busy' }, 'it rests between two pulses');
  const [length = 0] = pulses(file);
  assert.ok(length >= LONGEST_MS && length < LONGEST_MS + 250, `${length} ms`);
});

async function owner(t: TestContext, pulseMs: number, longestMs: number, safe = '') {
  const dir = await temporaryDir(t);
  const [file, ownerFile] = [join(dir, 'record'), join(dir, 'owner')];
  const script = join(import.meta.dirname, 'lock-owner.js');
  const child = spawn(process.execPath, [script, file, ownerFile, String(pulseMs), String(longestMs), safe], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  assert.equal(record(file).at(-1)?.split(' ')[0], 'unlocked');
  const holder = Number(readFileSync(ownerFile, 'utf8'));
  t.after(() => isAlive(holder) && process.kill(holder, 'SIGKILL'));
  return { child, file, ownerFile, holder };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A zombie answers signals; its parent may be gone and nobody here reaps orphans.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

for (const [signal, pulseMs, longestMs] of [
  ['SIGKILL', 400, 10_000],
  ['SIGSTOP', 400, 10_000],
  ['SIGKILL', 600_000, 400],
  ['SIGSTOP', 600_000, 400],
] as const) {
  test(`a daemon that gets ${signal} in a pulse of ${pulseMs} ms: the line is locked after 400 ms`, async (t) => {
    const { child, file, holder } = await owner(t, pulseMs, longestMs);
    child.kill(signal);
    await until(() => record(file).length === 3, 'locking');
    assert.equal(record(file).at(-1), 'locked low');
    const [length = 0] = pulses(file);
    assert.ok(length >= 400 && length < 900, `${length} ms`);
    if (signal === 'SIGKILL') await until(() => !isAlive(holder), 'the end of the holder');
    else assert.ok(isAlive(holder), 'a stopped daemon keeps its holder');
  });
}

test('the holder of a fail-safe door stays and keeps it locked until the next daemon takes the wire over', async (t) => {
  const { child, file, ownerFile, holder } = await owner(t, 200, 10_000, 'safe');
  await killed(child);
  await until(() => record(file).length === 3, 'locking');
  await sleep(100);
  assert.ok(isAlive(holder));
  const next = new HolderLock(
    { driver: 'recorder', file, longestMs: 1000, whenPowerless: 'safe' },
    { clock: systemClock, owner: ownerFile, onError: () => {} },
  );
  await started(t, next, ownerFile);
  assert.ok(!isAlive(holder));
  assert.deepEqual(new Set(record(file)), new Set(['locked high', 'unlocked low']));
  assert.equal(record(file).at(-1), 'locked high');
  await next.unlock(100);
});

test('a daemon that is stopped leaves a fail-safe door locked, in the middle of a pulse as well', async (t) => {
  const { dir, file, lock } = await recorder(t, { whenPowerless: 'safe', longestMs: 60_000 });
  await lock.unlock(60_000);
  await lock.stop();
  const holder = Number(readFileSync(join(dir, 'owner'), 'utf8'));
  assert.equal(record(file).at(-1), 'locked high');
  assert.ok(isAlive(holder));
  await assert.rejects(lock.unlock(100), { code: 'door.lock-failed' });
  const next = new HolderLock(
    { driver: 'recorder', file, longestMs: 1000, whenPowerless: 'safe' },
    { clock: systemClock, owner: join(dir, 'owner'), onError: () => {} },
  );
  await started(t, next, join(dir, 'owner'));
  assert.ok(!isAlive(holder));
  assert.equal(record(file).at(-1), 'locked high');
});

test('a daemon that is stopped does not end the holder of a fail-safe door that hangs', async (t) => {
  const { dir, lock } = await recorder(t, { whenPowerless: 'safe' });
  const holder = Number(readFileSync(join(dir, 'owner'), 'utf8'));
  process.kill(holder, 'SIGSTOP');
  await lock.stop();
  assert.ok(isAlive(holder));
});

test('what is left of a service is ended when it has ended, the holder of a lock is not', async (t) => {
  const { dir, file, lock } = await recorder(t, { longestMs: 10_000 });
  await lock.unlock(300);
  const hangs = spawn('sleep', ['60'], { stdio: 'ignore' });
  const gone = once(hangs, 'exit');
  const holder = Number(readFileSync(join(dir, 'owner'), 'utf8'));
  const procs = join(dir, 'cgroup.procs');
  writeFileSync(procs, [holder, hangs.pid, 999_999_999, ''].join('\n'));
  execFileSync(join(ROOT, 'systemd', 'leftovers.sh'), [procs]);
  assert.deepEqual(await gone, [null, 'SIGKILL']);
  assert.ok(isAlive(holder));
  await until(() => record(file).length === 3, 'the end of the pulse');
  assert.equal(record(file).at(-1), 'locked low');
});

async function killed(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

test('a holder that is killed is replaced, and the new one brings the wire to rest', async (t) => {
  const { dir, file, lock } = await recorder(t, { longestMs: 10_000 });
  const events: string[] = [];
  lock.on('failed', ({ code }) => events.push(code));
  lock.on('recovered', () => events.push('recovered'));
  await lock.unlock(10_000);
  process.kill(Number(readFileSync(join(dir, 'owner'), 'utf8')), 'SIGKILL');
  await until(() => events.includes('recovered'), 'recovery');
  assert.deepEqual(events, ['door.lock-failed', 'recovered']);
  assert.equal(record(file).at(-1), 'locked low');
  await lock.unlock(100);
});

test('a holder that hangs: the order fails in time and is not carried out when it wakes', async (t) => {
  const { dir, file, lock } = await recorder(t);
  const holder = Number(readFileSync(join(dir, 'owner'), 'utf8'));
  process.kill(holder, 'SIGSTOP');
  t.after(() => isAlive(holder) && process.kill(holder, 'SIGCONT'));
  await assert.rejects(lock.unlock(100), { code: 'door.lock-silent' });
  process.kill(holder, 'SIGCONT');
  await lock.lock();
  assert.ok(!record(file).includes('unlocked high'));
});

test('a holder that hangs in a pulse is ended, and the next one brings the wire to rest', async (t) => {
  const { dir, file, lock } = await recorder(t);
  await lock.unlock(100);
  const holder = Number(readFileSync(join(dir, 'owner'), 'utf8'));
  process.kill(holder, 'SIGSTOP');
  t.after(() => isAlive(holder) && process.kill(holder, 'SIGKILL'));
  // Nobody orders anything: that the pulse was not reported as over is enough.
  await until(() => !isAlive(holder), 'the end of the one that hangs', 20_000);
  await until(() => record(file).length === 3, 'the wire at rest');
  assert.deepEqual(record(file), ['locked low', 'unlocked high', 'locked low']);
});

test('the wire of a holder that hangs is taken over, and a lock that is stopped does not wait for it', async (t) => {
  const { dir, file, lock } = await recorder(t);
  const holder = Number(readFileSync(join(dir, 'owner'), 'utf8'));
  process.kill(holder, 'SIGSTOP');
  const next = new HolderLock(
    { driver: 'recorder', file, longestMs: LONGEST_MS },
    { clock: systemClock, owner: join(dir, 'owner'), onError: () => {} },
  );
  await Promise.all([lock.stop(), started(t, next, join(dir, 'owner'))]);
  assert.ok(!isAlive(holder));
  await next.unlock(100);
});

test('a holder that cannot be started for want of descriptors is said, and started when there are some', async (t) => {
  const dir = await temporaryDir(t);
  const options = { driver: 'recorder', file: join(dir, 'record'), longestMs: LONGEST_MS } as const;
  const lock = new HolderLock(options, {
    clock: systemClock,
    onError: (error) => assert.fail(String(error)),
  });
  t.after(() => lock.stop());
  const failures: string[] = [];
  lock.on('failed', ({ code }) => failures.push(code));
  const recovered = recoveries(lock);
  const limit = (soft: string) =>
    execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${soft}:`]);
  const usual = execFileSync('prlimit', [
    '--pid',
    String(process.pid),
    '--nofile',
    '-o',
    'SOFT',
    '--noheadings',
  ]);
  limit('256');
  t.after(() => limit(String(usual).trim()));
  const taken: number[] = [];
  assert.throws(() => {
    for (;;) taken.push(openSync('/dev/null', 'r'));
  }, /EMFILE/);
  try {
    await lock.start(new AbortController().signal);
    await assert.rejects(lock.unlock(100), { code: 'door.line-failed' });
  } finally {
    for (const fd of taken) closeSync(fd);
  }
  assert.deepEqual(failures, ['door.line-failed']);
  await until(() => recovered() === 1, 'the news that it can be used');
  await lock.unlock(100);
});

test('a holder for which the kernel has no room is said, and started when there is some', async (t) => {
  const dir = await temporaryDir(t);
  // Longer than the kernel takes it: Node throws then, as it does when there is no memory for another process.
  const env: NodeJS.ProcessEnv = { PADDING: 'x'.repeat(2 ** 18) };
  const lock = new HolderLock(
    { driver: 'recorder', file: join(dir, 'record'), longestMs: LONGEST_MS },
    { clock: systemClock, env, onError: (error) => assert.fail(String(error)) },
  );
  t.after(() => lock.stop());
  const failures: string[] = [];
  lock.on('failed', ({ code }) => failures.push(code));
  const recovered = recoveries(lock);
  await lock.start(new AbortController().signal);
  await assert.rejects(lock.unlock(100), { code: 'door.line-failed' });
  assert.deepEqual(failures, ['door.line-failed']);
  delete env.PADDING;
  await until(() => recovered() === 1, 'the news that it can be used');
  await lock.unlock(100);
});

test('stop ends a pulse and the holder', async (t) => {
  const { dir, file, lock } = await recorder(t, { longestMs: 60_000 });
  await lock.unlock(60_000);
  await lock.stop();
  assert.equal(record(file).at(-1), 'locked low');
  assert.ok(!isAlive(Number(readFileSync(join(dir, 'owner'), 'utf8'))));
  await assert.rejects(lock.unlock(100), { code: 'door.lock-failed' });
});

test('door contact and exit button', async (t) => {
  const dir = await temporaryDir(t);
  const feed = join(dir, 'feed');
  execFileSync('mkfifo', [feed]);
  const { lock } = await recorder(t, { feed });
  const inputs: string[] = [];
  lock.on('input', ({ name, active }) => inputs.push(`${name} ${active}`));
  const pen = await open(feed, 'w');
  await pen.write('door open\nexit pressed\n');
  await pen.write('exit released\ndoor closed\n');
  await pen.close();
  await until(() => inputs.length === 4, 'inputs');
  assert.deepEqual(inputs, ['door true', 'exit true', 'exit false', 'door false']);
});

test('orders that make no sense are refused, and the holder lives', async (t) => {
  const dir = await temporaryDir(t);
  const file = join(dir, 'record');
  const child = spawn(HOLDER, ['--recorder', file], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const soon = Math.round(systemClock.monotonic()) + 60_000;
  const orders = [
    '',
    'unlock',
    'unlock a',
    'unlock a 100',
    'unlock a -5 99999999999999',
    'unlock a 600001 99999999999999',
    'unlock a 100 1',
    'unlock a 1e3 99999999999999',
    `unlock ${'x'.repeat(5000)} 100 ${soon}`,
    `unlock ${'y'.repeat(100)} 100 ${soon}`,
    'open a',
    'ping last',
  ];
  child.stdin.end(`${orders.join('\n')}\n`);
  let said = '';
  for await (const chunk of child.stdout) said += chunk;
  assert.deepEqual(said.trim().split('\n'), [
    'ready',
    'refused a time',
    'refused a time',
    'refused a time',
    'refused a time',
    'refused a late',
    'refused a time',
    'refused a verb',
    'done last',
  ]);
  assert.deepEqual(record(file), ['locked low']);
});

test('a daemon that reads nothing any more does not prolong a pulse', async (t) => {
  const dir = await temporaryDir(t);
  const file = join(dir, 'record');
  const child = spawn(HOLDER, ['--recorder', file, '--longest', '400'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const soon = Math.round(systemClock.monotonic()) + 60_000;
  // Some 300 kB of answers fill its pipe, which nobody empties.
  child.stdin.write(`${'ping x\n'.repeat(60_000)}unlock a 600000 ${soon}\n`);
  await until(() => record(file).length === 3, 'locking');
  assert.ok((pulses(file)[0] ?? 0) < 900);
});

function gpio(t: TestContext, env: NodeJS.ProcessEnv = {}, more: object = {}) {
  return temporaryDir(t).then((dir) => {
    const log = join(dir, 'log');
    const chip = join(dir, 'gpiochip-fake');
    const options = {
      driver: 'gpio',
      chip,
      line: 17,
      activeLow: false,
      whenPowerless: 'secure',
      longestMs: LONGEST_MS,
      ...more,
    } as const;
    const lock = new HolderLock(options, {
      clock: systemClock,
      onError: (error) => assert.fail(String(error)),
      env: { LD_PRELOAD: FAKE_GPIO, FAKE_GPIO_CHIP: chip, FAKE_GPIO_LOG: log, ...env },
    });
    t.after(() => lock.stop());
    return { dir, log, lock };
  });
}

function recoveries(lock: HolderLock): () => number {
  let count = 0;
  lock.on('recovered', () => {
    count++;
  });
  return () => count;
}

test('GPIO: the line is asked for at rest, set, and set back', async (t) => {
  const { log, lock } = await gpio(
    t,
    {},
    { door: { line: 5, activeLow: true }, exit: { line: 6, activeLow: false } },
  );
  await lock.start(new AbortController().signal);
  await lock.unlock(100);
  await until(() => lines(log).length === 5, 'setting back');
  // linux/gpio.h: ACTIVE_LOW 0x2, INPUT 0x4, OUTPUT 0x8, EDGE_RISING 0x10, EDGE_FALLING 0x20, PULL_UP 0x100, PULL_DOWN 0x200
  assert.deepEqual(lines(log), [
    'request 17 flags=0x8 value=0',
    // An open wire: an open door, and a button that nobody presses.
    'request 5 flags=0x236 debounce=20000',
    'request 6 flags=0x234 debounce=20000',
    'set 17 mask=1 bits=1',
    'set 17 mask=1 bits=0',
  ]);
});

test('GPIO: active low is the kernel’s business, fail-safe is ours', async (t) => {
  const { log, lock } = await gpio(t, {}, { activeLow: true, whenPowerless: 'safe' });
  await lock.start(new AbortController().signal);
  await lock.unlock(50);
  await until(() => lines(log).length === 3, 'setting back');
  assert.deepEqual(lines(log), [
    'request 17 flags=0xa value=1',
    'set 17 mask=1 bits=0',
    'set 17 mask=1 bits=1',
  ]);
});

test('GPIO: edges of the door contact', async (t) => {
  const dir = await temporaryDir(t);
  const edges = join(dir, 'edges');
  execFileSync('mkfifo', [edges]);
  const { lock } = await gpio(t, { FAKE_GPIO_EDGES: edges }, { door: { line: 5, activeLow: true } });
  const inputs: string[] = [];
  lock.on('input', ({ name, active }) => inputs.push(`${name} ${active}`));
  await lock.start(new AbortController().signal);
  const pen = await open(edges, 'w');
  await pen.write('5 rising\n5 falling\n');
  await until(() => inputs.length === 3, 'edges');
  assert.deepEqual(inputs, ['door false', 'door true', 'door false'], 'how it stands, then what changes');
  await pen.close();
});

test('GPIO taken by another program: said once, by its name, and nothing opens', async (t) => {
  const { lock } = await gpio(t, { FAKE_GPIO_BUSY: '17' });
  const failures: string[] = [];
  lock.on('failed', ({ code }) => failures.push(code));
  await lock.start(new AbortController().signal);
  await assert.rejects(lock.unlock(100), { code: 'door.line-busy' });
  assert.deepEqual(failures, ['door.line-busy']);
});

test('a chip that is not there', async (t) => {
  const lock = new HolderLock(
    {
      driver: 'gpio',
      chip: '/dev/gpiochip-none',
      line: 1,
      activeLow: false,
      whenPowerless: 'secure',
      longestMs: 1,
    },
    { clock: systemClock, onError: () => {} },
  );
  t.after(() => lock.stop());
  await lock.start(new AbortController().signal);
  await assert.rejects(lock.unlock(100), { code: 'door.line-failed' });
});

test('a line that does not switch: the order fails, and locking is tried until it works', async (t) => {
  const dir = await temporaryDir(t);
  const stuck = join(dir, 'stuck');
  const { log, lock } = await gpio(t, { FAKE_GPIO_STUCK: stuck });
  const failures: string[] = [];
  lock.on('failed', ({ code }) => failures.push(code));
  const recovered = recoveries(lock);
  await lock.start(new AbortController().signal);
  await lock.unlock(300);
  writeFileSync(stuck, '');
  await until(() => failures.length === 1, 'the fault');
  await assert.rejects(lock.unlock(100), { code: 'door.lock-failed' });
  rmSync(stuck);
  await until(() => lines(log).at(-1) === 'set 17 mask=1 bits=0', 'locking after all');
  await until(() => recovered() === 1, 'the news that it can be used again');
});

test('a line that is never switched on: once it can be locked again it is well, and what fails later is said again', async (t) => {
  const dir = await temporaryDir(t);
  const stuck = join(dir, 'stuck');
  const { lock } = await gpio(t, { FAKE_GPIO_STUCK: stuck });
  const failures: string[] = [];
  lock.on('failed', ({ code }) => failures.push(code));
  const recovered = recoveries(lock);
  await lock.start(new AbortController().signal);
  for (const round of [1, 2]) {
    writeFileSync(stuck, '');
    await assert.rejects(lock.unlock(100), { code: 'door.lock-failed' });
    await until(() => failures.length === round, 'the fault');
    rmSync(stuck);
    await until(() => recovered() === round, 'the news that it can be used again');
  }
});

test('an input whose chip is gone: said, and a line that moves does not hide it', async (t) => {
  const dir = await temporaryDir(t);
  const edges = join(dir, 'edges');
  execFileSync('mkfifo', [edges]);
  const { log, lock } = await gpio(t, { FAKE_GPIO_EDGES: edges }, { door: { line: 5, activeLow: true } });
  const failures: string[] = [];
  lock.on('failed', ({ message }) => failures.push(message));
  const recovered = recoveries(lock);
  await lock.start(new AbortController().signal);
  const pen = await open(edges, 'w');
  await pen.write('5 gone\n');
  await until(() => failures.length === 1, 'the loss');
  assert.match(failures[0] ?? '', /input door/);
  await lock.unlock(50);
  await until(() => lines(log).at(-1) === 'set 17 mask=1 bits=0', 'the end of the pulse');
  await lock.lock();
  assert.equal(recovered(), 0);
  await pen.close();
});

test('the holder that is not built, and a driver that does not exist', async (t) => {
  const dir = await temporaryDir(t);
  const lock = new HolderLock(
    { driver: 'recorder', file: join(dir, 'record'), longestMs: 1 },
    { clock: systemClock, program: join(dir, 'none'), onError: () => {} },
  );
  await assert.rejects(lock.start(new AbortController().signal), { code: 'door.holder-missing' });
  const deps = { clock: systemClock, onError: () => {}, stateDir: dir };
  await assert.rejects(openLock('front', { driver: 'zigbee' } as unknown as LockOptions, deps), {
    code: 'config.invalid',
    fix: 'choose one of gpio, mqtt, recorder',
  });
});
