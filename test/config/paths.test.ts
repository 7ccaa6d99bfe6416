import assert from 'node:assert/strict';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findConfigFile, makeStateDir, modelsDir, stateDir } from '../../src/config/paths.js';
import { ROOT } from '../helpers/data.js';
import { temporaryDir } from '../helpers/dirs.js';

test('the state directory: ours, systemd’s, the checkout’s, the user’s', async (t) => {
  assert.equal(stateDir({ FACED_STATE_DIR: '/a', STATE_DIRECTORY: '/b' }), '/a');
  assert.equal(stateDir({ STATE_DIRECTORY: '/var/lib/faced:/var/lib/other' }), '/var/lib/faced');
  assert.equal(stateDir({}), join(ROOT, '.faced'));
  const installed = await temporaryDir(t);
  assert.equal(stateDir({ HOME: '/home/me' }, installed), '/home/me/.local/state/faced');
  assert.equal(stateDir({ HOME: '/home/me', XDG_STATE_HOME: '/x' }, installed), '/x/faced');
});

test('models outlive a state directory', () => {
  assert.equal(modelsDir({ FACED_MODELS_DIR: '/m', CACHE_DIRECTORY: '/c' }, '/configured'), '/m');
  assert.equal(modelsDir({ CACHE_DIRECTORY: '/c' }, '/configured'), '/configured');
  assert.equal(modelsDir({ CACHE_DIRECTORY: '/c' }), '/c/models');
  assert.equal(modelsDir({ XDG_CACHE_HOME: '/x' }), '/x/faced/models');
});

test('the state directory is made for its owner only', async (t) => {
  const path = join(await temporaryDir(t), 'deep', 'state');
  makeStateDir(path);
  assert.equal(statSync(path).mode & 0o777, 0o700);
  makeStateDir(path);
  const file = join(path, 'file');
  writeFileSync(file, '');
  assert.throws(() => makeStateDir(join(file, 'x')), { code: 'usage.not-found', message: /ENOTDIR/ });
});

test('the configuration file: named by variable, else in the state directory', async (t) => {
  const state = await temporaryDir(t);
  mkdirSync(join(state, 'x'));
  assert.notEqual(findConfigFile({}, state), join(state, 'faced.yaml'));
  writeFileSync(join(state, 'faced.yaml'), '');
  assert.equal(findConfigFile({}, state), join(state, 'faced.yaml'));
  assert.equal(findConfigFile({ FACED_CONFIG: '/etc/other.yaml' }, state), '/etc/other.yaml');
});
