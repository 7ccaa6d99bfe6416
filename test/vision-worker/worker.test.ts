import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { decode } from '../../src/image/index.js';
import type { Sighting } from '../../src/pipeline/ports.js';
import { similarity } from '../../src/vision/similarity.js';
import { asCamera } from '../helpers/clips.js';
import { temporaryDir } from '../helpers/dirs.js';
import { readPhoto, writeActors } from '../pipeline/clips.js';
import { once, openVision, withoutModels } from '../pipeline/watch.js';
import { children } from './support.js';

const skip = withoutModels();
const soon = () => AbortSignal.timeout(60_000);
const ACTORS = [
  { person: 'Alec_Baldwin', photo: 2, fromMs: 0, toMs: 4000, start: [60, 100], stop: [300, 140] },
] as const;

test('a SIGSEGV costs at most 2 s: the worker is there again, sees, and answers what was asked', {
  skip,
}, async (t) => {
  const clip = join(await temporaryDir(t), 'clip.avi');
  writeActors(clip, 4000, ACTORS);
  const cameras = [{ name: 'door', source: `file:${clip}?pace=real`, view: {} }];
  const before = children();
  const vision = openVision(t, cameras, { isolation: 'process' });
  const first = once(vision, 'sighted');
  await vision.start(soon());
  await first;
  const [pid] = children().filter((one) => !before.includes(one));
  assert.ok(pid !== undefined);

  const restarted = once(vision, 'restarted');
  const next = restarted.then(() => once(vision, 'sighted'));
  const picture = vision.analyse(readPhoto('Alec_Baldwin', 4));
  const killedAt = performance.now();
  process.kill(pid, 'SIGSEGV');
  assert.deepEqual(await restarted, { reason: 'signal SIGSEGV', count: 1 });
  const sighting = await next;
  const lost = performance.now() - killedAt;
  // Whoever shares the machine makes everything slower; that is not what is tested.
  const limit = 2000 * Math.max(1, (loadavg()[0] ?? 0) / availableParallelism());
  assert.ok(lost < limit, `${Math.round(lost)} ms without eyes, ${Math.round(limit)} allowed`);
  assert.ok(sighting.embedding !== null);
  assert.equal((await picture).faces.length, 1);
  await vision.stop();
  assert.deepEqual(children(), before);
});

test('a thread and a process say the same', { skip }, async (t) => {
  const clip = join(await temporaryDir(t), 'clip.avi');
  writeActors(clip, 1500, ACTORS);
  const looks = async (isolation: 'thread' | 'process'): Promise<Sighting[]> => {
    const vision = openVision(t, [{ name: 'door', source: `file:${clip}`, view: {} }], {
      isolation,
      liveness: 'minifasnet',
    });
    const sightings: Sighting[] = [];
    vision.on('sighted', (one) => sightings.push(one));
    const over = once(vision, 'sourcesEnded');
    await vision.start(soon());
    await over;
    await vision.stop();
    return sightings;
  };
  const [thread, child] = [await looks('thread'), await looks('process')];
  assert.ok(thread.length >= 3, `${thread.length} sightings in 1.5 s`);
  assert.deepEqual(
    child.map((one) => one.mediaMs),
    thread.map((one) => one.mediaMs),
  );
  for (const [index, one] of thread.entries()) {
    const other = child[index];
    assert.ok(one.embedding !== null && other?.embedding != null);
    assert.ok(similarity(one.embedding, other.embedding) > 0.99999);
    assert.ok(one.liveness !== null && one.liveness >= 0 && one.liveness <= 1);
    assert.deepEqual(other.box, one.box);
  }
});

test('pictures are answered beside a camera, with a sign of life each second and a snapshot', {
  skip,
}, async (t) => {
  const clip = join(await temporaryDir(t), 'clip.avi');
  writeActors(clip, 4000, ACTORS);
  const vision = openVision(t, [
    {
      name: 'door',
      source: asCamera(clip),
      view: {
        masks: [
          [
            [0.9, 0],
            [1, 0],
            [1, 1],
            [0.9, 1],
          ],
        ],
      },
    },
  ]);
  const beat = once(
    vision,
    'beat',
    ({ stages }) => (stages.frame?.count ?? 0) > 0 && stages.detect !== undefined,
  );
  await vision.start(soon());
  const jpeg = await vision.snapshot('door');
  assert.ok(jpeg !== null);
  const { width, height, data } = decode(jpeg);
  assert.deepEqual([width, height], [640, 480]);
  const masked = data.subarray((240 * 640 + 600) * 3, (240 * 640 + 630) * 3);
  assert.ok(
    masked.every((value) => Math.abs(value - 127) < 6),
    'what a mask hides is not in a snapshot',
  );
  const { faces } = await vision.analyse(readPhoto('Alec_Baldwin', 4));
  assert.equal(faces.length, 1);
  await assert.rejects(vision.analyse(Uint8Array.of(1, 2, 3)), { code: 'image.unreadable' });
  await assert.rejects(vision.snapshot('yard'), { code: 'source.invalid', message: /door/ });
  const { cameras, rssBytes } = await beat;
  assert.equal(cameras[0]?.camera, 'door');
  assert.ok(rssBytes > 50e6);
});

test('a clip that is not there ends the start with its code', { skip }, async (t) => {
  const vision = openVision(t, [{ name: 'door', source: 'file:/nowhere/clip.avi', view: {} }]);
  await assert.rejects(vision.start(soon()), { code: 'source.open-failed' });
});

test('when its parent is killed the process ends', { skip }, async (t) => {
  const dir = await temporaryDir(t);
  const script = join(dir, 'parent.mjs');
  const worker = new URL('../../src/vision-worker.js', import.meta.url);
  writeFileSync(
    script,
    `import { fork } from 'node:child_process';
const child = fork(${JSON.stringify(worker.pathname)}, [], { serialization: 'advanced' });
child.on('message', () => process.stdout.write(child.pid + '\\n'));
child.send({ kind: 'call', id: 1, method: 'nothing', argument: null });
`,
  );
  const parent = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => parent.kill('SIGKILL'));
  const pid = await new Promise<number>((resolve) =>
    parent.stdout.once('data', (text) => resolve(Number(text))),
  );
  assert.ok(existsSync(`/proc/${pid}`));
  parent.kill('SIGKILL');
  for (let tries = 0; existsSync(`/proc/${pid}`); tries++) {
    assert.ok(tries < 200, 'it is still there after 10 s');
    await sleep(50);
  }
});
