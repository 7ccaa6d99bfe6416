import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../helpers/data.js';
import { temporaryDir } from '../helpers/dirs.js';

const scripts = [
  'bin/faced',
  '.ci/run',
  'native/tensorrt/check-headers.sh',
  ...['deploy', 'deploy/pi', 'deploy/jetson', 'systemd'].flatMap((folder) =>
    readdirSync(join(ROOT, folder))
      .filter((name) => name.endsWith('.sh'))
      .map((name) => `${folder}/${name}`),
  ),
];
const has = (program: string) => spawnSync(program, ['--version']).error === undefined;

test('every script can be parsed, and what is called directly can be executed', () => {
  for (const script of scripts) {
    const path = join(ROOT, script);
    const shell = readFileSync(path, 'utf8').startsWith('#!/bin/sh') ? 'sh' : 'bash';
    execFileSync(shell, ['-n', path]);
    if (script.endsWith('lib.sh')) continue;
    assert.ok((statSync(path).mode & 0o111) !== 0, `${script} is not executable`);
  }
});

test('shellcheck finds nothing', { skip: !has('shellcheck') && 'needs shellcheck' }, () => {
  const { status, stdout } = spawnSync('shellcheck', scripts, { cwd: ROOT, encoding: 'utf8' });
  assert.equal(status, 0, stdout);
});

test('the lists of packages have one Debian name a line', () => {
  const folder = join(ROOT, 'deploy', 'packages');
  for (const file of readdirSync(folder)) {
    const names = readFileSync(join(folder, file), 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    assert.ok(names.length > 0, file);
    for (const name of names) assert.match(name, /^[a-z0-9][a-z0-9+.-]+$/, file);
    assert.equal(new Set(names).size, names.length, file);
  }
});

test('setup.sh refuses what it does not know', () => {
  const { status, stderr } = spawnSync('bash', [join(ROOT, 'deploy', 'setup.sh'), '--fast'], {
    encoding: 'utf8',
  });
  assert.equal(status, 1);
  assert.match(stderr, /knows --test only, not --fast/);
});

test('a stamp holds until a source changes; what was built does not count', async (t) => {
  const dir = await temporaryDir(t);
  const hash = () =>
    execFileSync('bash', ['-euo', 'pipefail', '-c', `. "${ROOT}/deploy/lib.sh"; hash_of src`], {
      cwd: dir,
      encoding: 'utf8',
    }).trim();
  mkdirSync(join(dir, 'src', 'build'), { recursive: true });
  writeFileSync(join(dir, 'src', 'a b.ts'), '1');
  const first = hash();
  assert.match(first, /^[0-9a-f]{64}$/);
  writeFileSync(join(dir, 'src', 'build', 'out.o'), 'x');
  assert.equal(hash(), first);
  writeFileSync(join(dir, 'src', 'a b.ts'), '2');
  assert.notEqual(hash(), first);
});

test('strict_gpiod is found where it is, and added for every model where it is not', async (t) => {
  const dir = await temporaryDir(t);
  const bash = (command: string) =>
    spawnSync('bash', ['-euo', 'pipefail', '-c', `. "${ROOT}/deploy/lib.sh"; ${command}`], {
      cwd: dir,
      encoding: 'utf8',
    });
  const has = (text: string) => {
    writeFileSync(join(dir, 'config.txt'), text);
    return bash('has_strict_gpiod config.txt').status === 0;
  };
  assert.ok(has('dtparam=strict_gpiod\n'));
  assert.ok(has('dtparam=audio=on,strict_gpiod=on\n'));
  assert.ok(!has('# dtparam=strict_gpiod\n'));
  assert.ok(!has('dtparam=strict_gpiod_of_others\n'));
  assert.ok(!has('dtoverlay=x\n[cm4]\notg_mode=1\n'));
  const added = bash('with_strict_gpiod config.txt').stdout;
  assert.match(added, /^dtoverlay=x\n\[cm4\]\notg_mode=1\n[\s\S]*\n\[all\]\ndtparam=strict_gpiod\n$/);
  assert.ok(has(added));
});

/** quickstart.sh beside a setup.sh and a launcher that only say what they were called with. */
async function quickstart(dir: string, argv: string[], env: Record<string, string> = {}): Promise<string> {
  for (const folder of ['deploy', 'bin']) mkdirSync(join(dir, folder), { recursive: true });
  cpSync(join(ROOT, 'deploy', 'quickstart.sh'), join(dir, 'deploy', 'quickstart.sh'));
  writeFileSync(join(dir, 'deploy', 'setup.sh'), 'echo set up\n');
  writeFileSync(join(dir, 'bin', 'faced'), '#!/bin/sh\necho "faced $*"\n', { mode: 0o755 });
  return execFileSync('bash', [join(dir, 'deploy', 'quickstart.sh'), ...argv], {
    cwd: '/',
    env: { PATH: process.env.PATH ?? '', ...env },
    encoding: 'utf8',
  });
}

test('quickstart.sh sets up, then watches the camera or shows the demo', async (t) => {
  const dir = await temporaryDir(t);
  const demo = existsSync('/dev/video0') ? '' : '--source demo ';
  assert.match(await quickstart(dir, ['--once']), new RegExp(`^set up\n(.|\n)*faced run ${demo}--once\n$`));
  assert.match(await quickstart(dir, []), new RegExp(`faced run ${demo}`.trimEnd()));
});

test('quickstart.sh leaves a source or a configuration that was chosen alone', async (t) => {
  const dir = await temporaryDir(t);
  assert.match(await quickstart(dir, ['--source', 'csi:0']), /faced run --source csi:0\n$/);
  assert.match(await quickstart(dir, ['--config', 'x.yaml']), /faced run --config x\.yaml\n$/);
  mkdirSync(join(dir, 'state'));
  writeFileSync(join(dir, 'state', 'faced.yaml'), '');
  assert.match(await quickstart(dir, [], { FACED_STATE_DIR: join(dir, 'state') }), /faced run\n$/);
});

test('images and add-on are of the version that the packages have', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const files = ['deploy/home-assistant/Dockerfile', 'docs/packages.md', 'docs/boards.md'];
  for (const file of files) {
    const tags =
      readFileSync(join(ROOT, file), 'utf8').match(/\bfaced[:_]\d+\.\d+\.\d+(?=[-+](?:bookworm|trixie))/g) ??
      [];
    assert.ok(tags.length > 0, file);
    for (const tag of tags) assert.equal(tag.slice('faced:'.length), version, file);
  }
  const addon = readFileSync(join(ROOT, 'deploy/home-assistant/config.yaml'), 'utf8');
  assert.match(addon, new RegExp(`^version: "${version.replaceAll('.', '\\.')}"$`, 'm'));
});
