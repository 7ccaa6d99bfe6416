import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openGallery } from '../../src/gallery/database.js';
import { MIGRATIONS } from '../../src/gallery/migrations/index.js';
import { temporaryDir } from '../helpers/dirs.js';

const tables = (gallery: Awaited<ReturnType<typeof openGallery>>) =>
  gallery.db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").pluck().all();

test('migrations have numbers of their own, in their ranges', () => {
  const ids = MIGRATIONS.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  assert.ok(ids.every((id) => id > 100 && id < 600));
});

test('a migration that fails leaves the form before it, and the next start tries it again', async (t) => {
  const directory = await temporaryDir(t);
  (await openGallery({ directory })).close();
  const wrong = { id: 401, sql: 'CREATE TABLE first (a); nonsense' };
  const half = { id: 402, sql: 'CREATE TABLE second (a); CREATE TABLE second (a)' };
  const one = { id: 401, sql: 'CREATE TABLE first (a)' };
  await assert.rejects(openGallery({ directory, migrations: [...MIGRATIONS, wrong] }), /syntax error/);
  await assert.rejects(openGallery({ directory, migrations: [...MIGRATIONS, half, one] }), /already exists/);
  const gallery = await openGallery({
    directory,
    migrations: [...MIGRATIONS, { ...half, sql: 'CREATE TABLE second (a)' }, one],
  });
  t.after(() => gallery.close());
  assert.ok(tables(gallery).includes('first'));
  assert.ok(tables(gallery).includes('second'));
  const applied = gallery.db
    .prepare('SELECT id FROM migrations UNION SELECT id FROM additions ORDER BY id')
    .pluck()
    .all();
  assert.deepEqual(
    applied,
    [...MIGRATIONS.map(({ id }) => id), 401, 402].sort((a, b) => a - b),
  );
});
