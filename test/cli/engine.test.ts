import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { listen, startMosquitto, withoutMosquitto } from '../helpers/broker.js';
import { engineDir, startEngine, withoutEngine } from '../helpers/engine.js';
import { facedIn } from '../helpers/faced.js';

interface Health {
  readonly backend?: { readonly using: string };
  readonly problems: readonly { readonly code: string }[];
}

test('the daemon with an engine process: doctor and health say who runs the recogniser, away and back again', {
  skip: withoutEngine() || withoutMosquitto,
}, async (t) => {
  const at = await engineDir(t);
  const broker = await startMosquitto(t);
  const faced = await facedIn(t, { FACED_MQTT_URL: broker.url, FACED_DEVICE: 'porch' });
  const config = join(faced.stateDir, 'faced.yaml');
  await writeFile(config, `models:\n  backend: tensorrt\n  engineSocket: ${at.socket}\n`);
  const backend = async () => {
    const { answer } = await faced.json('doctor', '--config', config);
    const { checks } = answer as { checks: { name: string; ok: boolean; detail: string; fix?: string }[] };
    return checks.find(({ name }) => name === 'backend');
  };
  const missing = await backend();
  assert.equal(missing?.ok, false);
  assert.match(missing?.fix ?? '', /systemctl start faced-tensorrt/);

  const engine = await startEngine(t, at);
  assert.match((await backend())?.detail ?? '', /^opencv .*, fp32, answers like FP32 \(cosine 1\.00000\)$/);

  const health = await listen(t, broker.url, ['faced/porch/health']);
  const daemon = faced.spawn('run', '--config', config, '--source', 'demo?loop=yes', '--json');
  const newest = (): Health | undefined => {
    const text = health.on('faced/porch/health').at(-1);
    return text === undefined || text === '' ? undefined : JSON.parse(text);
  };
  const state = (using: string, code: string | null) => (): boolean => {
    const seen = newest();
    const codes = seen?.problems.map((one) => one.code).filter((one) => one.startsWith('backend.')) ?? [];
    return seen?.backend?.using === using && (code === null ? codes.length === 0 : codes.includes(code));
  };
  await health.until(state('opencv', null));
  await engine.kill('SIGKILL');
  await health.until(state('onnxruntime', 'backend.away'));
  // Nobody at the door notices: the next one is recognised here.
  const before = daemon.lines.length;
  await daemon.line(() => daemon.lines.slice(before).some((line) => line.includes('"decision":"known"')));

  await startEngine(t, at);
  await health.until(state('opencv', null));
  assert.equal(daemon.stderr().match(/ONNX Runtime takes over/g)?.length, 1, daemon.stderr());
});
