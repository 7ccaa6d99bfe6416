import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leaves, readEnvironment, screaming, variableFor } from '../../src/config/env.js';
import { loadConfig } from '../../src/config/load.js';
import { SCHEMA } from '../../src/config/schema.js';
import { temporaryDir } from '../helpers/dirs.js';

test('names of variables follow from paths', () => {
  assert.equal(variableFor(['mqtt', 'url']), 'FACED_MQTT_URL');
  assert.equal(
    variableFor(['recognition', 'strangersPerThousand']),
    'FACED_RECOGNITION_STRANGERS_PER_THOUSAND',
  );
  assert.equal(screaming('front-door'), 'FRONT_DOOR');
});

test('every setting has a variable of its own', () => {
  const names = leaves(SCHEMA).map((leaf) => variableFor(leaf.path));
  assert.equal(new Set(names).size, names.length);
  assert.ok(names.length > 25);
});

test('values are read by the type of their setting', async (t) => {
  const { config, warnings } = loadConfig({
    env: {
      FACED_STATE_DIR: await temporaryDir(t),
      FACED_MQTT_URL: ' mqtts://broker ',
      FACED_MQTT_ATTEMPTS: 'yes',
      FACED_MQTT_EMBEDDED_PORT: '0',
      FACED_MQTT_USERNAME: '123',
      FACED_RECOGNITION_STRANGERS_PER_THOUSAND: '0.25',
      FACED_LIVENESS_MINIMUM: '',
      FACED_HTTP_ENABLED: 'off',
      FACED_GALLERY_KEY_FILE: 'some/key',
      FACED_DEVICE: 'porch',
      OTHER: 'x',
    },
  });
  assert.deepEqual(warnings, []);
  assert.equal(config.mqtt.url, 'mqtts://broker');
  assert.equal(config.mqtt.attempts, true);
  assert.equal(config.mqtt.embedded.port, 0);
  assert.equal(config.mqtt.username, '123');
  assert.equal(config.recognition.strangersPerThousand, 0.25);
  assert.equal(config.liveness.minimum, null);
  assert.equal(config.http.enabled, false);
  assert.equal(config.gallery.keyFile, `${process.cwd()}/some/key`);
  assert.equal(config.device, 'porch');
});

test('cameras can be set, made and changed', () => {
  const { overrides, warnings } = readEnvironment(
    {
      FACED_CAMERAS_FRONT_DOOR_MIN_FACE: '50',
      FACED_CAMERAS_HALL_SOURCE: 'csi:0',
      FACED_CAMERAS_HALL_ZONES: '[[[0,0],[1,0],[1,1]]]',
    },
    ['front-door'],
  );
  assert.deepEqual(warnings, []);
  assert.deepEqual(
    overrides.map(({ path, value }) => [path.join('.'), value]),
    [
      ['cameras.front-door.minFace', 50],
      ['cameras.hall.source', 'csi:0'],
      [
        'cameras.hall.zones',
        [
          [
            [0, 0],
            [1, 0],
            [1, 1],
          ],
        ],
      ],
    ],
  );
});

test('a mistake names its variable', () => {
  assert.throws(() => loadConfig({ env: { FACED_HTTP_PORT: 'abc', FACED_STATE_DIR: '/nonexistent' } }), {
    message: /http\.port must be a whole number from 0 to 65535 \(is "abc"\), set by FACED_HTTP_PORT/,
  });
});

test('an unknown variable is warned about, a reserved one is not', () => {
  const { overrides, warnings } = readEnvironment({
    FACED_MQQT_URL: 'x',
    FACED_CAMERAS_DOOR_SPEED: '1',
    FACED_STATE_DIR: '/s',
    FACED_CONFIG: '/c',
    FACED_TEST_DATA: '/d',
  });
  assert.deepEqual(overrides, []);
  assert.deepEqual(warnings, [
    'FACED_CAMERAS_DOOR_SPEED is not a setting',
    'FACED_MQQT_URL is not a setting; did you mean FACED_MQTT_URL?',
  ]);
});

test('no variable reaches beyond the settings', () => {
  const { overrides } = readEnvironment({
    FACED_CAMERAS___PROTO___FPS: '1',
    FACED_CAMERAS_CONSTRUCTOR_FPS: '1',
  });
  assert.deepEqual(
    overrides.map((one) => one.path.join('.')),
    ['cameras.constructor.fps'],
  );
  assert.throws(
    () => loadConfig({ env: { FACED_CAMERAS_CONSTRUCTOR_FPS: '1', FACED_STATE_DIR: '/nonexistent' } }),
    {
      message: /cameras\.constructor\.source is missing/,
    },
  );
});
