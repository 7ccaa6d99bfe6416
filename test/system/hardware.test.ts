import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readBoard } from '../../src/system/board.js';
import { lookAtBoard, readHardware } from '../../src/system/hardware.js';
import { temporaryDir } from '../helpers/dirs.js';

test('this machine is asked for names, and for nothing else', async () => {
  const hardware = await readHardware();
  assert.deepEqual(Object.keys(hardware), ['model', 'graphics']);
  assert.ok(hardware.model === null || hardware.model.length > 0);
  assert.ok(hardware.graphics.every((one) => one.length > 0));
});

test('programs fill in what files leave out, and nothing when they fail', async (t) => {
  const root = await temporaryDir(t);
  const ask = async () => ({ model: 'Some Maker 1', graphics: ['Some Adapter'] });
  const board = await lookAtBoard(root, { arch: 'x64', ask });
  assert.deepEqual([board.model, board.accelerators], ['Some Maker 1', ['Some Adapter']]);
  const failed = await lookAtBoard(root, { arch: 'x64', ask: () => Promise.reject(new Error('no lspci')) });
  assert.deepEqual(failed, readBoard(root, 'x64'));
});
