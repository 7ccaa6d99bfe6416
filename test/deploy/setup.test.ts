import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ROOT } from '../helpers/data.js';
import { temporaryDir } from '../helpers/dirs.js';

/** Each stand-in writes down what it was called with; npm leaves behind what the real one would. */
const STAND_INS: Readonly<Record<string, string>> = {
  'dpkg-query':
    'case "$*" in *Version*) echo 4.6; exit 0 ;; esac; for name; do case " -W $MISSING " in *" $name "*) ;; *) echo "ii $name" ;; esac; done; exit 1',
  'apt-get': 'echo "apt-get $*" >>"$CALLS"',
  make: 'echo "make $*" >>"$CALLS"',
  sudo: '"$@"',
  systemctl: 'echo "systemctl $*" >>"$CALLS"',
  npm: `echo "npm $*" >>"$CALLS"
case "$*" in
  ci*) rm -rf node_modules; mkdir node_modules ;;
  *build:native) mkdir -p native/opencv/build ;;
  *build) mkdir -p dist/src dist/test; touch dist/src/kept.js ;;
esac`,
};

interface Clone {
  readonly dir: string;
  /** Runs setup.sh and answers what it called. */
  setup(options?: { argv?: string[]; missing?: string }): {
    status: number | null;
    calls: string[];
    output: string;
  };
}

async function clone(t: TestContext): Promise<Clone> {
  const home = await temporaryDir(t);
  const dir = join(home, 'a clone');
  const bin = join(home, 'bin');
  const log = join(home, 'calls');
  for (const folder of ['native/opencv', 'native/better-sqlite3', 'src', 'test', 'web', 'bin'])
    mkdirSync(join(dir, folder), { recursive: true });
  mkdirSync(bin);
  cpSync(join(ROOT, 'deploy'), join(dir, 'deploy'), { recursive: true });
  for (const file of [
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'src/kept.ts',
    'native/opencv/addon.cc',
  ])
    writeFileSync(join(dir, file), '1');
  writeFileSync(join(dir, 'bin', 'faced'), '#!/bin/sh\necho "faced $*" >>"$CALLS"\n', { mode: 0o755 });
  for (const [name, body] of Object.entries(STAND_INS))
    writeFileSync(join(bin, name), `#!/bin/bash\n${body}\n`, { mode: 0o755 });
  const setup: Clone['setup'] = ({ argv = [], missing = '' } = {}) => {
    writeFileSync(log, '');
    const env = { ...process.env, PATH: `${bin}:${process.env.PATH}`, CALLS: log, MISSING: missing };
    const script = join(dir, 'deploy', 'setup.sh');
    const { status, stdout, stderr } = spawnSync('bash', [script, ...argv], {
      cwd: '/',
      env,
      encoding: 'utf8',
    });
    const calls = readFileSync(log, 'utf8').split('\n').filter(Boolean);
    return { status, calls, output: stdout + stderr };
  };
  return { dir, setup };
}

test('a fresh clone is made ready, and the second run does nothing again', async (t) => {
  const { dir, setup } = await clone(t);
  const first = setup();
  assert.equal(first.status, 0, first.output);
  assert.deepEqual(first.calls, [
    'npm ci --no-fund --no-audit',
    'make --silent -C native/lock',
    'npm run --silent build:native',
    'npm run --silent build',
    'faced model fetch',
  ]);
  const second = setup();
  assert.equal(second.status, 0, second.output);
  assert.deepEqual(second.calls, ['faced model fetch']);

  writeFileSync(join(dir, 'src', 'kept.ts'), '2');
  assert.deepEqual(setup().calls, ['npm run --silent build', 'faced model fetch']);
  writeFileSync(join(dir, 'native', 'opencv', 'addon.cc'), '2');
  assert.deepEqual(setup().calls, [
    'make --silent -C native/lock',
    'npm run --silent build:native',
    'faced model fetch',
  ]);
  rmSync(join(dir, 'node_modules'), { recursive: true });
  assert.deepEqual(setup().calls, ['npm ci --no-fund --no-audit', 'faced model fetch']);
});

test('what was compiled from a source that is gone is removed', async (t) => {
  const { dir, setup } = await clone(t);
  setup();
  const stale = join(dir, 'dist', 'test', 'gone.test.js');
  writeFileSync(stale, '');
  writeFileSync(join(dir, 'src', 'kept.ts'), '2');
  setup();
  assert.equal(existsSync(stale), false);
  assert.equal(existsSync(join(dir, 'dist', 'src', 'kept.js')), true);
});

test('only missing packages are installed, test packages only with --test', async (t) => {
  const { setup } = await clone(t);
  assert.deepEqual(
    setup({ missing: 'libopencv-core-dev shellcheck' }).calls.filter((call) => call.startsWith('apt-get')),
    [
      'apt-get -q -o DPkg::Lock::Timeout=300 update',
      'apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends libopencv-core-dev',
    ],
  );
  const tests = setup({ argv: ['--test'], missing: 'shellcheck' });
  assert.match(tests.calls[1] ?? '', /install -y --no-install-recommends shellcheck$/);
});

test('a step that fails ends the set-up and is not taken for done', async (t) => {
  const { dir, setup } = await clone(t);
  const npm = join(dir, '..', 'bin', 'npm');
  const working = readFileSync(npm, 'utf8');
  writeFileSync(npm, '#!/bin/bash\necho "npm $*" >>"$CALLS"\nexit 1\n');
  const failed = setup();
  assert.notEqual(failed.status, 0);
  assert.deepEqual(failed.calls, ['npm ci --no-fund --no-audit']);
  writeFileSync(npm, working);
  assert.equal(setup().calls[0], 'npm ci --no-fund --no-audit');
});

test('an old Node.js is named with the way to a new one', async (t) => {
  const { dir, setup } = await clone(t);
  writeFileSync(join(dir, '..', 'bin', 'node'), '#!/bin/bash\nprintf "%s\\n" false v18.20.4 /usr 108x64\n', {
    mode: 0o755,
  });
  const { status, output } = setup();
  assert.equal(status, 1);
  assert.match(output, /Node\.js v18\.20\.4 is too old\. Get Node\.js 20\.17 or later/);
});
