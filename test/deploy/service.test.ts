import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../helpers/data.js';
import { temporaryDir } from '../helpers/dirs.js';

const unit = join(ROOT, 'systemd', 'faced.service');
const skip =
  spawnSync('systemd-analyze', ['--version']).error === undefined ? false : 'needs systemd-analyze';

test('systemd finds no fault in the service but that it is not installed', { skip }, async (t) => {
  const copy = join(await temporaryDir(t), 'faced.service');
  writeFileSync(copy, readFileSync(unit, 'utf8').replaceAll('/opt/faced/bin/faced', '/bin/true'));
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', copy], { encoding: 'utf8' });
  assert.equal(stderr, '');
  assert.equal(status, 0);
});

test('what the service may do is rated at 2.0 at most', { skip }, () => {
  const analyze = (...argv: string[]) =>
    spawnSync('systemd-analyze', ['security', '--offline=true', ...argv, unit], { encoding: 'utf8' });
  // The threshold is in tenths.
  const rated = analyze('--no-pager', '--threshold=20');
  assert.match(rated.stdout, /Overall exposure level for faced\.service: \d/);
  assert.equal(rated.status, 0, rated.stdout.split('\n').slice(-3).join('\n'));
  assert.notEqual(analyze('--no-pager', '--threshold=10').status, 0, 'the threshold is looked at');
});

test('the drop-ins name what the daemon looks for', () => {
  assert.match(
    readFileSync(join(ROOT, 'systemd', 'gallery-key.conf'), 'utf8'),
    /^LoadCredential=faced\.key:/m,
  );
  assert.match(readFileSync(unit, 'utf8'), /^Type=notify$(.|\n)*^NotifyAccess=all$/m);
});
