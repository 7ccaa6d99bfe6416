import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { ROOT } from '../helpers/data.js';
import { openWeb } from './support.js';

interface Rules {
  readonly groups: { readonly rules: { readonly alert: string; readonly expr: string }[] }[];
}
interface Dashboard {
  readonly panels: { readonly title: string; readonly targets: { readonly expr: string }[] }[];
}

/** `faced_…` in an expression of Prometheus. */
function namesIn(expression: string): string[] {
  return [...expression.matchAll(/\bfaced_[a-z_]+/g)].map(([name]) => name);
}

test('metrics of a house that saw somebody; dashboard and alerts use names that are really there', async (t) => {
  // Made before the demo's own gallery is there: it holds in the demo too.
  const web = await openWeb(t, { argv: ['--source', 'demo', '--json'], before: ['read'] });
  await web.daemon.line((line) => line.includes('"unknown"'));
  assert.equal((await web.ask('/healthz')).body.status, 'ok');
  assert.equal((await web.ask('/readyz')).body.status, 'ready');
  const seen = async (pattern: RegExp) => {
    for (;;) {
      const { text } = await web.ask('/metrics');
      if (pattern.test(text)) return text;
      await web.daemon.line(() => true);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  };
  // The next sign of life of the vision worker brings its stages.
  const text = await seen(/faced_stage_duration_seconds_count\{stage="embed"\} [1-9]/);
  assert.match(text, /^faced_frames_received_total\{camera="camera"\} \d+$/m);
  assert.match(text, /^faced_decisions_total\{camera="camera",decision="\w+"\} [1-9]/m);
  assert.match(text, /^faced_model_loads_total\{model="mobilefacenet"\} 1$/m);
  assert.match(text, /^faced_model_evictions_total\{model="mobilefacenet"\} 0$/m);
  assert.match(text, /^faced_gallery_people 2$/m);
  assert.match(text, /^faced_camera_up\{camera="camera"\} [01]$/m);
  assert.doesNotMatch(text, /Ada|Bea/);
  assert.ok(histogramsAreWhole(text));

  const given = new Set(
    [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].flatMap(([, name = '', type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  );
  const rules = parse(
    await readFile(join(ROOT, 'deploy/monitoring/prometheus-alerts.yaml'), 'utf8'),
  ) as Rules;
  const board = JSON.parse(
    await readFile(join(ROOT, 'deploy/monitoring/grafana-dashboard.json'), 'utf8'),
  ) as Dashboard;
  const used = [
    ...rules.groups.flatMap((group) => group.rules.map(({ alert, expr }) => ({ where: alert, expr }))),
    ...board.panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ where: title, expr }))),
  ];
  assert.ok(used.length >= 30);
  for (const { where, expr } of used) {
    const names = namesIn(expr);
    assert.ok(names.length > 0, where);
    for (const name of names) assert.ok(given.has(name), `${where} uses ${name}, which faced does not give`);
  }

  const token = await web.token('read');
  assert.equal((await web.ask('/v1/people', { token: web.made ?? '' })).status, 200);
  const health = await web.ask('/v1/health', { token });
  assert.equal(health.status, 200, health.text);
  assert.equal(health.body.cameras[0].camera, 'camera');
  assert.ok(health.body.machine.diskFree > 0);
  assert.ok([0, 1, 2, null].includes(health.body.machine.memoryLevel));
  assert.equal((await web.ask('/v1/health')).status, 401);
  const proxied = await web.ask('/metrics', { headers: { 'x-forwarded-for': '203.0.113.9' } });
  assert.equal(proxied.status, 401, 'what comes through a proxy that nobody named is not this machine');
});

/** Buckets go up, and the last one is the count. */
function histogramsAreWhole(text: string): boolean {
  const rows = [
    ...text.matchAll(/^faced_stage_duration_seconds_bucket\{stage="embed",le="([^"]+)"\} (\d+)$/gm),
  ];
  const counts = rows.map(([, , count]) => Number(count));
  const total = Number(/^faced_stage_duration_seconds_count\{stage="embed"\} (\d+)$/m.exec(text)?.[1]);
  return (
    counts.every((count, index) => index === 0 || count >= (counts[index - 1] ?? 0)) &&
    counts.at(-1) === total
  );
}
