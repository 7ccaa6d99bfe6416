import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { camerasOf } from '../../src/assemble.js';
import { loadConfig } from '../../src/config/index.js';
import { temporaryDir } from '../helpers/dirs.js';

test('a camera by which a door opens is looked at more often, unless its owner says how often', async (t) => {
  const path = join(await temporaryDir(t), 'faced.yaml');
  const lines = [
    'cameras:',
    '  porch: {source: "v4l2:/dev/video0"}',
    '  gate: {source: "rtsp://gate/1", trusted: door}',
    '  slow: {source: "v4l2:/dev/video1", fps: 5}',
    '  garden: {source: "v4l2:/dev/video2"}',
    'doors: {front: {lock: {driver: recorder, file: record}, cameras: [porch, slow]}}',
  ];
  writeFileSync(path, lines.join('\n'));
  const { config } = loadConfig({ path, env: {} });
  assert.deepEqual(
    camerasOf(config).map(({ name, view }) => [name, view?.fps]),
    [
      ['porch', 15],
      ['gate', 15],
      ['slow', 5],
      ['garden', 10],
    ],
  );
});
