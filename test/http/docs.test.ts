import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { routeTable } from '../../src/http/reference.js';
import { ROOT } from '../helpers/data.js';
import { temporaryDir } from '../helpers/dirs.js';
import { openServer } from './server-support.js';
import { form, openWeb, portrait } from './support.js';

const PAGE = join(ROOT, 'docs', 'http.md');

test('docs/http.md lists every address (FACED_UPDATE_DOCS=1 writes it)', async (t) => {
  const { server } = await openServer(t);
  const page = await readFile(PAGE, 'utf8');
  const [before = '', rest = ''] = page.split('<!-- routes -->');
  const [, after = ''] = rest.split('<!-- /routes -->');
  const wanted = `${before}<!-- routes -->\n\n${routeTable((await server.application()).routes)}\n\n<!-- /routes -->${after}`;
  if (process.env.FACED_UPDATE_DOCS === '1') await writeFile(PAGE, wanted);
  else assert.equal(page, wanted);
});

function has(program: string): boolean {
  return spawnSync(program, ['--version']).status === 0;
}

test('the examples in shell, Node.js and Python say who is in a picture', async (t) => {
  const web = await openWeb(t);
  const [mayEnroll, token] = [await web.token('enroll'), await web.token('recognize')];
  await web.ask('/v1/enroll', {
    method: 'POST',
    token: mayEnroll,
    body: form([await portrait('Ada')], { name: 'Ada' }),
  });
  const picture = join(await temporaryDir(t), 'visitor.jpg');
  await writeFile(picture, await portrait('Ada'));
  const env = { ...process.env, FACED_TOKEN: token, FACED_URL: web.base };
  const examples: [string, string, RegExp][] = [
    ['curl', 'recognize.sh', /"decision":"known"[\s\S]*"name":"Ada"/],
    ['node', 'recognize.mjs', /^Ada\n$/],
    ['python3', 'recognize.py', /^Ada\n$/],
  ];
  for (const [program, file, says] of examples)
    await t.test(file, { skip: has(program) ? false : `needs ${program}` }, async () => {
      const run = program === 'curl' ? 'sh' : program;
      const path = join(ROOT, 'docs', 'examples', 'http', file);
      const good = spawnSync(run, [path, picture], { env, encoding: 'utf8' });
      assert.equal(good.status, 0, good.stderr);
      assert.match(good.stdout, says);
      const refused = spawnSync(run, [path, picture], {
        env: { ...env, FACED_TOKEN: 'no' },
        encoding: 'utf8',
      });
      assert.notEqual(refused.status, 0);
      assert.match(refused.stdout + refused.stderr, /http\.unauthorized/);
    });
});
