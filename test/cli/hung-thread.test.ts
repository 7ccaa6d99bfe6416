import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { connectAsync } from 'mqtt';
import { freePort, startMosquitto, withoutMosquitto } from '../helpers/broker.js';
import { portraitOf, writeFaceClip } from '../helpers/clips.js';
import { temporaryDir } from '../helpers/dirs.js';
import { facedIn } from '../helpers/faced.js';

/** Preloaded into every thread of the daemon: that of the vision worker hangs, once, as soon as the file is there. */
const hangsAt = (file: string): string => `
const { renameSync } = require('node:fs');
setInterval(() => {
  if (!process.argv[1]?.includes('vision-worker')) return;
  try { renameSync(${JSON.stringify(file)}, ${JSON.stringify(`${file}.taken`)}); } catch { return; }
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}, 20).unref();
`;

// As a process: deploy/check-systemd.sh, where it is stopped by a signal.
test('a vision worker that hangs as a thread is left behind, another looks on, and no event is lost', {
  skip: withoutMosquitto,
}, async (t) => {
  const dir = await temporaryDir(t);
  const [preload, hang, picture, clip] = ['hang.cjs', 'hang', 'ada.jpg', 'ada.avi'].map((name) =>
    join(dir, name),
  ) as [string, string, string, string];
  await writeFile(preload, hangsAt(hang));
  const jpeg = await portraitOf('Ada');
  await writeFile(picture, jpeg);
  writeFaceClip(clip, { jpeg, seconds: 8, emptyS: 1 });
  const port = await freePort();
  const faced = await facedIn(t, {
    FACED_MQTT_URL: `mqtt://127.0.0.1:${port}`,
    FACED_DEVICE: 'porch',
    FACED_ISOLATION: 'thread',
    NODE_OPTIONS: `--require=${preload}`,
  });
  assert.equal((await faced.run('enroll', 'Ada', picture)).code, 0);
  const daemon = faced.spawn('run', '--source', `file:${clip}?pace=real`, '--json');
  const ids = () => daemon.lines.map((line) => (JSON.parse(line) as { id: string }).id);
  await daemon.line((line) => line.includes('"known"'));
  // The broker is away: what was seen has to outlive the thread.
  const before = ids();
  await writeFile(hang, '');
  await daemon.said(/the vision worker ended and is started again.*no sign of life for 7 s/);
  await daemon.line((line) => line.includes('"known"') && !before.some((id) => line.includes(id)));
  const broker = await startMosquitto(t, ['allow_anonymous true'], port);
  const listener = await connectAsync(broker.url);
  t.after(() => listener.endAsync());
  const heard = new Set<string>();
  await new Promise<void>((resolve, reject) => {
    listener.on('message', (_, payload) => {
      heard.add((JSON.parse(payload.toString()) as { id: string }).id);
      if (ids().every((id) => heard.has(id))) resolve();
    });
    listener.subscribeAsync('faced/porch/recognition', { qos: 1 }).catch(reject);
  });
  daemon.child.kill('SIGTERM');
  assert.equal(await daemon.ended, 0, daemon.stderr());
  assert.ok(ids().length > before.length);
});
