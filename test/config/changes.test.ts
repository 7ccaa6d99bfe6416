import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changes, changesNeedingRestart } from '../../src/config/changes.js';
import { loadConfig } from '../../src/config/load.js';

function configWith(env: Record<string, string>) {
  return loadConfig({ env: { FACED_STATE_DIR: '/nonexistent', ...env } }).config;
}

test('nothing changed', () => {
  assert.deepEqual(changes(configWith({}), configWith({})), []);
});

test('what can be taken up at once and what cannot', () => {
  const before = configWith({ FACED_CAMERAS_DOOR_SOURCE: 'demo' });
  const after = configWith({
    FACED_CAMERAS_DOOR_SOURCE: 'csi:0',
    FACED_CAMERAS_HALL_SOURCE: 'demo',
    FACED_LOG_LEVEL: 'debug',
    FACED_RECOGNITION_STRANGERS_PER_THOUSAND: '5',
    FACED_MQTT_EMBEDDED_PORT: '1999',
  });
  assert.deepEqual(
    changes(before, after)
      .filter((change) => !change.restart)
      .map((change) => change.path)
      .sort(),
    ['log.level', 'recognition.strangersPerThousand'],
  );
  assert.deepEqual([...changesNeedingRestart(before, after)].sort(), [
    'cameras.door.source',
    'cameras.hall',
    'mqtt.embedded.port',
  ]);
});
