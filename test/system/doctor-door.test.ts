import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type DoorFinding, type DoorOptions, doorChecks } from '../../src/system/doctor-door.js';
import { temporaryDir } from '../helpers/dirs.js';

const FRONT: DoorFinding = {
  id: 'front',
  driver: 'gpio',
  chip: '/dev/gpiochip0',
  waysIn: 1,
  needsClock: true,
};

async function pi(t: TestContext, { persists = 'N\n' }: { persists?: string } = {}) {
  const root = await temporaryDir(t);
  const files = {
    'proc/device-tree/model': 'Raspberry Pi 4 Model B Rev 1.4\0',
    'proc/cmdline': 'console=tty1',
    'sys/module/pinctrl_bcm2835/parameters/persist_gpio_outputs': persists,
    'dev/gpiochip0': '',
    holder: '#!/bin/sh\n',
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), text, { mode: 0o755 });
  }
  const options: DoorOptions = {
    doors: [FRONT],
    holder: join(root, 'holder'),
    clockSynchronised: async () => true,
  };
  return { root, options };
}

const failing = async (options: DoorOptions, root: string) =>
  (await doorChecks(options, root)).flatMap(({ name, ok, fix }) => {
    assert.equal(fix !== undefined, !ok);
    return ok ? [] : [name];
  });

test('a Pi with a door that is set up is well, and a house without doors is asked nothing', async (t) => {
  const { root, options } = await pi(t);
  assert.deepEqual(await failing(options, root), []);
  assert.deepEqual(await doorChecks({ ...options, doors: [] }, root), []);
});

test('a line that stays driven, a chip that is not there, a holder that is not built', async (t) => {
  const { root, options } = await pi(t, { persists: 'Y\n' });
  assert.deepEqual(await failing(options, root), ['gpio']);
  const elsewhere = { ...options, doors: [{ ...FRONT, chip: '/dev/gpiochip9' }], holder: join(root, 'none') };
  assert.deepEqual(await failing(elsewhere, root), ['lock', 'gpio', 'gpio']);
});

test('the kernel’s command line says it too, where the module does not', async (t) => {
  const { root, options } = await pi(t, { persists: '' });
  assert.deepEqual(await failing(options, root), ['gpio']);
  writeFileSync(join(root, 'proc/cmdline'), 'quiet pinctrl_bcm2835.persist_gpio_outputs=n');
  assert.deepEqual(await failing(options, root), []);
});

test('a clock that nobody set, or that cannot be asked, matters where hours and dates do', async (t) => {
  const { root, options } = await pi(t);
  assert.deepEqual(await failing({ ...options, clockSynchronised: async () => false }, root), ['door']);
  const unasked = { ...options, clockSynchronised: () => Promise.reject(new Error('no holder')) };
  assert.deepEqual(await failing(unasked, root), ['door']);
  const always = { ...unasked, doors: [{ ...FRONT, needsClock: false }] };
  assert.deepEqual(await failing(always, root), []);
});

test('a door that nobody can open is named', async (t) => {
  const { root, options } = await pi(t);
  assert.deepEqual(await failing({ ...options, doors: [{ ...FRONT, waysIn: 0 }] }, root), ['door']);
});

test('a door that asks for signs of life which the detector cannot show is told of', async (t) => {
  const { root, options } = await pi(t);
  const found = await doorChecks({ ...options, neverLive: async () => ['front'] }, root);
  const [told, ...more] = found.filter(({ ok }) => !ok);
  assert.equal(more.length, 0);
  assert.match(told?.detail ?? '', /^front asks for signs of life/);
  assert.match(told?.fix ?? '', /models\.detector/);
});
