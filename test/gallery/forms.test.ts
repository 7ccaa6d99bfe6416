import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, renameSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { inspectBackup, restoreBackup } from '../../src/gallery/backup-file.js';
import { type Db, openGallery } from '../../src/gallery/database.js';
import { MIGRATIONS, type Migration } from '../../src/gallery/migrations/index.js';
import { People } from '../../src/gallery/people.js';
import { SampleSearch } from '../../src/gallery/search.js';
import { temporaryDir } from '../helpers/dirs.js';
import { CALLS } from './calls.js';
import { openStore, randomNumbers, sample, smallDisk, withoutMounts } from './support.js';

const random = randomNumbers(77);
/** The form of the first version that kept people, events and an audit. */
const FIRST = MIGRATIONS.filter(({ id }) => [101, 201, 301].includes(id));
const FOLDER = 'before-migration';

const tablesOf = (db: Db) =>
  db
    .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    .pluck()
    .all() as string[];

/** A gallery as an older version left it. */
async function oldGallery(directory: string, names: readonly string[]): Promise<void> {
  const { db, sealer, close } = await openGallery({ directory, migrations: FIRST });
  const people = new People(db, sealer, new SampleSearch('max'));
  for (const name of names) {
    const { id } = people.ensure(name);
    for (let i = 0; i < 20; i++) db.exec(`INSERT INTO tombstones VALUES ('${name}-${i}', 1)`);
    const { embedding, quality } = sample(random);
    const one = { id: `${id}-1`, person: id, embedding, quality, createdAt: 1 };
    db.transaction(() => people.insertSample(one))();
  }
  close();
}

/** What a later version may add: columns to everything, a table that holds on to ours, an index. */
async function addedLater(t: TestContext): Promise<Migration> {
  const probe = await openGallery({ directory: await temporaryDir(t) });
  const tables = tablesOf(probe.db).filter((name) => !['migrations', 'additions'].includes(name));
  probe.close();
  const columns = tables.map(
    (name, i) =>
      `ALTER TABLE ${name} ADD COLUMN later ${i % 2 === 0 ? 'TEXT' : 'INTEGER NOT NULL DEFAULT 7'};`,
  );
  const sql = `${columns.join('\n')}
    CREATE TABLE later (person_id TEXT PRIMARY KEY REFERENCES people (id) ON DELETE CASCADE, note TEXT) STRICT;
    CREATE INDEX later_samples ON samples (created_at);`;
  return { id: 599, sql, additive: true };
}

test('this version does all its work on a database to which a later one has added', async (t) => {
  const directory = await temporaryDir(t);
  const later = await addedLater(t);
  (await openGallery({ directory, migrations: [...MIGRATIONS, later] })).close();
  const { store } = await openStore(t, { directory });
  const { id } = await store.ensurePerson('Anna');
  await store.addSamples(id, [sample(random)]);
  for (const { name, run } of CALLS) await assert.doesNotReject(run(store, id), name);
  assert.deepEqual(await store.integrityCheck(), []);
  assert.equal((await store.verifyAudit()).ok, true);
  const backup = join(await temporaryDir(t), 'faced.db');
  await store.backup(backup);
  await store.stop();
  assert.equal(existsSync(join(directory, FOLDER)), false, 'nothing had to be changed');
  await restoreBackup(backup, { directory, replace: true, actor: 'cli' });

  const older = await openGallery({ directory });
  older.close();
  assert.deepEqual(older.ahead, [599]);
  const again = await openGallery({ directory, migrations: [...MIGRATIONS, later] });
  t.after(() => again.close());
  assert.deepEqual([again.migrated, again.ahead], [null, []], 'the later version finds its additions');
});

test('a database that a later version has changed is refused, and the copy from before runs', async (t) => {
  const { store, directory } = await openStore(t);
  await store.enroll({ name: 'Anna', add: [sample(random)], remove: [], actor: 'cli', from: 'picture' });
  await store.stop();
  const change: Migration = { id: 598, sql: 'ALTER TABLE people RENAME COLUMN name TO called' };
  const later = await openGallery({ directory, migrations: [...MIGRATIONS, change] });
  later.close();
  const path = join(directory, 'gallery.db');
  const before = readFileSync(path);
  await assert.rejects(openStore(t, { directory }), {
    code: 'gallery.newer',
    message: /598/,
    fix: /before-migration/,
  });
  assert.ok(before.equals(readFileSync(path)), 'it is left as it is');
  const copy = later.migrated?.copy;
  assert.ok(copy);
  await restoreBackup(copy.path, { directory, replace: true, actor: 'cli' });
  const people = await (await openStore(t, { directory })).store.people();
  assert.deepEqual(
    people.map(({ name }) => name),
    ['Anna'],
  );
});

test('before a migration the gallery is copied: sound, with the key that opens it, and three are kept', async (t) => {
  const directory = await temporaryDir(t);
  await oldGallery(directory, ['Anna', 'Ben']);
  const folder = join(directory, FOLDER);
  const first = await openGallery({ directory });
  first.close();
  const copy = first.migrated?.copy;
  assert.ok(copy);
  const seen = await inspectBackup(copy.path, { directory });
  assert.deepEqual([seen.people, seen.samples, seen.problems, seen.key.opens], [2, 2, [], true]);
  assert.equal(seen.keyId, copy.keyId);
  const form = await openGallery({ directory: await restored(t, copy.path, directory), migrations: FIRST });
  t.after(() => form.close());
  assert.equal(form.migrated, null, 'the copy has the form of before');
  for (let id = 590; id < 594; id++) {
    // Two within a second would have one name.
    for (const [i, name] of readdirSync(folder).sort().entries())
      renameSync(join(folder, name), join(folder, `faced-2026110${i + 1}T030000Z.db`));
    const extra = Array.from({ length: id - 589 }, (_, i) => ({
      id: 590 + i,
      sql: `CREATE TABLE x${i} (a)`,
    }));
    (await openGallery({ directory, migrations: [...MIGRATIONS, ...extra] })).close();
  }
  assert.equal(readdirSync(folder).length, 3);
});

/** A state directory with this copy as its gallery. */
async function restored(t: TestContext, copy: string, keyFrom: string): Promise<string> {
  const directory = await temporaryDir(t);
  writeFileSync(join(directory, 'gallery.db'), readFileSync(copy));
  writeFileSync(join(directory, 'gallery.key'), readFileSync(join(keyFrom, 'gallery.key')), { mode: 0o600 });
  return directory;
}

test('who is deleted goes from the copies too, and copies go when events of their age do', async (t) => {
  const directory = await temporaryDir(t);
  await oldGallery(directory, ['Anna', 'Ben']);
  const { store } = await openStore(t, { directory, retentionDays: 30 });
  const folder = join(directory, FOLDER);
  const [name = ''] = readdirSync(folder);
  const anna = (await store.people()).find((one) => one.name === 'Anna');
  await store.removePerson(anna?.id ?? '', []);
  const { people, samples, problems } = await inspectBackup(join(folder, name), { directory });
  assert.deepEqual([people, samples, problems], [1, 1, []]);
  await store.pruneEvents();
  assert.deepEqual(readdirSync(folder), [name]);
  const old = new Date(Date.now() - 31 * 86_400_000).toISOString().replace(/[-:]|\.\d+/g, '');
  renameSync(join(folder, name), join(folder, `faced-${old}.db`));
  await store.pruneEvents();
  assert.deepEqual(readdirSync(folder), []);
});

test('a migration that fails changes nothing and leaves no copy', async (t) => {
  const directory = await temporaryDir(t);
  await oldGallery(directory, ['Anna']);
  const wrong: Migration = { id: 597, sql: 'CREATE TABLE half (a); CREATE TABLE half (a)' };
  await assert.rejects(openGallery({ directory, migrations: [...MIGRATIONS, wrong] }), /already exists/);
  assert.deepEqual(readdirSync(join(directory, FOLDER)), []);
  const before = await openGallery({ directory, migrations: FIRST });
  t.after(() => before.close());
  assert.deepEqual([before.migrated, before.ahead], [null, []]);
});

test('on a full disk the migration is refused, the version before runs on, and nothing is lost', {
  skip: withoutMounts(),
}, async (t) => {
  const directory = await smallDisk(t, '1m');
  await oldGallery(directory, ['Anna']);
  const { bavail, bsize } = statfsSync(directory);
  // Enough to look at the database, too little for another one.
  writeFileSync(join(directory, 'filler'), Buffer.alloc(bavail * bsize - 64 * 1024));
  await assert.rejects(openGallery({ directory }), {
    code: 'gallery.disk-full',
    message: /nothing was changed/,
    fix: /Free \d+ MB/,
  });
  assert.deepEqual(readdirSync(join(directory, FOLDER)), []);
  const before = await openGallery({ directory, migrations: FIRST });
  assert.equal(before.db.prepare('SELECT count(*) FROM people').pluck().get(), 1);
  before.close();
  writeFileSync(join(directory, 'filler'), '');
  const { store } = await openStore(t, { directory });
  assert.equal((await store.people())[0]?.name, 'Anna');
});

test('what is marked as additive only adds', async (t) => {
  for (const { id, additive } of MIGRATIONS) {
    if (additive === undefined) continue;
    const directory = await temporaryDir(t);
    const upTo = (last: number) => MIGRATIONS.filter((one) => one.id <= last);
    const older = await openGallery({ directory, migrations: upTo(id - 1) });
    const before = contentsOf(older.db);
    older.close();
    const newer = await openGallery({ directory, migrations: upTo(id) });
    const after = contentsOf(newer.db);
    newer.close();
    for (const [name, text] of before.others) assert.equal(after.others.get(name), text, `${id}: ${name}`);
    for (const [name] of after.others)
      assert.ok(
        before.others.has(name) || !before.tables.has(ownerOf(after, name)),
        `${id}: trigger ${name}`,
      );
    for (const [name, columns] of before.tables) {
      const now = after.tables.get(name) ?? [];
      assert.deepEqual(now.slice(0, columns.length), columns, `${id}: ${name}`);
      for (const { notnull, dflt_value } of now.slice(columns.length))
        assert.ok(notnull === 0 || dflt_value !== null, `${id}: ${name}`);
    }
  }
});

interface Contents {
  readonly tables: Map<string, { name: string; notnull: number; dflt_value: unknown }[]>;
  /** Triggers and unique indexes by their text: what may refuse a row. */
  readonly others: Map<string, string>;
  readonly owners: Map<string, string>;
}

function ownerOf({ owners }: Contents, name: string): string {
  return owners.get(name) ?? '';
}

function contentsOf(db: Db): Contents {
  const others = db
    .prepare(
      "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger' OR (type = 'index' AND sql LIKE '%UNIQUE%')",
    )
    .all() as { name: string; tbl_name: string; sql: string }[];
  return {
    tables: new Map(
      tablesOf(db).map((name) => [
        name,
        db.pragma(`table_info(${name})`) as { name: string; notnull: number; dflt_value: unknown }[],
      ]),
    ),
    others: new Map(others.map(({ name, sql }) => [name, sql])),
    owners: new Map(others.map(({ name, tbl_name }) => [name, tbl_name])),
  };
}

test('opening says that it comes forward while it copies and changes a database, and only then', async (t) => {
  const directory = await temporaryDir(t);
  await oldGallery(directory, ['Anna', 'Ben']);
  let told = 0;
  const onProgress = () => {
    told++;
  };
  const { store } = await openStore(t, { directory, onProgress });
  assert.ok(told > MIGRATIONS.length - FIRST.length, `told ${told} times`);
  await store.stop();
  told = 0;
  await openStore(t, { directory, onProgress });
  assert.equal(told, 0);
});
