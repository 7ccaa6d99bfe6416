import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ROOT } from '../helpers/data.js';
import { temporaryDir } from '../helpers/dirs.js';

/** Prints what the launcher hands over. */
const MAIN = `console.log(JSON.stringify({ argv: process.argv.slice(2), arenas: process.env.MALLOC_ARENA_MAX }));`;

/** A folder with the launcher and a stand-in for what is compiled; its name has a space. */
async function installation(t: TestContext, built = true): Promise<string> {
  const root = join(await temporaryDir(t), 'a folder');
  mkdirSync(join(root, 'bin'), { recursive: true });
  cpSync(join(ROOT, 'bin', 'faced'), join(root, 'bin', 'faced'));
  if (!built) return root;
  mkdirSync(join(root, 'node_modules'));
  mkdirSync(join(root, 'dist', 'src'), { recursive: true });
  writeFileSync(join(root, 'dist', 'src', 'main.js'), MAIN);
  return root;
}

test('from another directory, through two symbolic links, arguments untouched', async (t) => {
  const root = await installation(t);
  const elsewhere = await temporaryDir(t);
  symlinkSync(join(root, 'bin', 'faced'), join(elsewhere, 'one'));
  symlinkSync('one', join(elsewhere, 'faced'));
  const out = execFileSync(join(elsewhere, 'faced'), ['run', 'a b', '--x=*'], { cwd: '/', encoding: 'utf8' });
  assert.deepEqual(JSON.parse(out), { argv: ['run', 'a b', '--x=*'], arenas: '1' });
});

test('what the environment says about memory is kept', async (t) => {
  const root = await installation(t);
  const env = { ...process.env, MALLOC_ARENA_MAX: '4' };
  assert.match(execFileSync(join(root, 'bin', 'faced'), { env, encoding: 'utf8' }), /"arenas":"4"/);
});

test('with the short PATH of a service, or a Node.js that was named', async (t) => {
  const root = await installation(t);
  const env = { PATH: '/usr/bin:/bin', FACED_NODE: process.execPath };
  assert.match(execFileSync(join(root, 'bin', 'faced'), { env, encoding: 'utf8' }), /argv/);
});

test('as a package whose dependencies lie beside it', async (t) => {
  const root = await installation(t, false);
  const inside = join(root, 'node_modules', 'faced');
  cpSync(join(root, 'bin'), join(inside, 'bin'), { recursive: true });
  mkdirSync(join(inside, 'dist', 'src'), { recursive: true });
  writeFileSync(join(inside, 'dist', 'src', 'main.js'), MAIN);
  assert.match(execFileSync(join(inside, 'bin', 'faced'), { encoding: 'utf8' }), /argv/);
});

test('not built yet: the mend is named', async (t) => {
  const root = await installation(t, false);
  const { status, stderr, stdout } = spawnSync(join(root, 'bin', 'faced'), ['run'], { encoding: 'utf8' });
  assert.equal(status, 1);
  assert.equal(stdout, '');
  assert.equal(stderr, `faced: not built yet. Run: bash ${root}/deploy/setup.sh\n`);
});

test('a package’s own Node.js comes before the machine’s', async (t) => {
  const root = await installation(t);
  mkdirSync(join(root, 'runtime'));
  writeFileSync(join(root, 'runtime', 'node'), '#!/bin/sh\necho own\n', { mode: 0o755 });
  assert.equal(execFileSync(join(root, 'bin', 'faced'), { encoding: 'utf8' }), 'own\n');
});
