import assert from 'node:assert/strict';
import { copyFileSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { inspectBackup, restoreBackup } from '../../src/gallery/backup-file.js';
import { temporaryDir } from '../helpers/dirs.js';
import { event, openStore, randomNumbers, sample, unknownFace } from './support.js';

const random = randomNumbers(31);
const enrolment = { remove: [], actor: 'cli', from: 'picture' };
const keep = { replace: false, actor: 'cli' };

test('a backup says which key opens it, and holds no stranger', async (t) => {
  const { store, directory } = await openStore(t);
  await store.enroll({ ...enrolment, name: 'Anna', add: [sample(random)] });
  await store.addUnknown(unknownFace(random), { threshold: 0.5, limit: 10 });
  const path = join(await temporaryDir(t), 'faced.db');
  const made = await store.backup(path);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(made.bytes, statSync(path).size);
  const seen = await inspectBackup(path, { directory });
  assert.deepEqual(seen, {
    ...{ ...made, problems: [] },
    key: { kind: 'state', path: join(directory, 'gallery.key'), id: made.keyId, opens: true },
  });
  assert.deepEqual([made.people, made.samples], [1, 1]);
  const elsewhere = (await openStore(t)).directory;
  const told = await inspectBackup(path, { directory: elsewhere });
  assert.equal(told.key.opens, false);
  assert.notEqual(told.key.id, made.keyId);
  const copy = await temporaryDir(t);
  copyFileSync(path, join(copy, 'gallery.db'));
  copyFileSync(join(directory, 'gallery.key'), join(copy, 'gallery.key'));
  assert.deepEqual(await (await openStore(t, { directory: copy })).store.unknownGroups(), []);
});

test('who was deleted goes from a backup at its next turn, with the names in its events', async (t) => {
  const { store, directory } = await openStore(t);
  const { person } = await store.enroll({ ...enrolment, name: 'Anna', add: [sample(random)] });
  const ben = await store.enroll({ ...enrolment, name: 'Ben', add: [sample(random), sample(random)] });
  const one = { ...event('x'), person };
  await store.recordEvent(one, []);
  const dir = await temporaryDir(t);
  const path = join(dir, 'faced.db');
  await store.backup(path);
  const untouched = readFileSync(path);
  assert.equal(await store.purgeBackup(path), 0);
  assert.ok(
    untouched.equals(readFileSync(path)),
    'a backup in which nobody was deleted is not written again',
  );
  await store.removePerson(person.id);
  await store.removeSample(ben.samples[0] ?? '');
  assert.equal(await store.purgeBackup(path), 1);
  assert.deepEqual(readdirSync(dir), ['faced.db']);
  const { people, samples } = await inspectBackup(path, { directory });
  assert.deepEqual([people, samples], [1, 1]);

  const restored = await temporaryDir(t);
  copyFileSync(path, join(restored, 'gallery.db'));
  copyFileSync(join(directory, 'gallery.key'), join(restored, 'gallery.key'));
  const { store: again } = await openStore(t, { directory: restored });
  assert.deepEqual((await again.events({ limit: 1 }))[0]?.person, { id: person.id, name: '(removed)' });
  assert.deepEqual(
    (await again.people()).map(({ name }) => name),
    ['Ben'],
  );
  assert.equal((await again.verifyAudit()).ok, true);
  const foreign = (await openStore(t)).store;
  await assert.rejects(foreign.purgeBackup(path), { code: 'gallery.key-wrong' });
});

test('pictures that were forgotten go from a backup at its next turn, and do not come back with it', async (t) => {
  const { store, directory } = await openStore(t);
  const image = new Uint8Array([0xff, 0xd8, 0xff, 0xd9]);
  const one = { ...sample(random), image };
  const { samples } = await store.enroll({ ...enrolment, name: 'Anna', add: [one, sample(random)] });
  const dir = await temporaryDir(t);
  const [path, old] = [join(dir, 'faced.db'), join(dir, 'old.db')];
  await store.backup(path);
  copyFileSync(path, old);
  const pictured = (file: string) => {
    const copy = new Database(file, { readonly: true });
    try {
      return copy.prepare('SELECT sample_id FROM images').pluck().all();
    } finally {
      copy.close();
    }
  };
  assert.deepEqual(pictured(path), [samples[0]]);
  assert.equal(await store.purgeBackup(path), 0);
  assert.deepEqual(pictured(path), [samples[0]], 'what is still kept stays in the backup');
  await store.forgetImages();
  assert.equal(await store.purgeBackup(path), 0, 'nobody went');
  assert.deepEqual(pictured(path), []);
  assert.deepEqual(pictured(old), [samples[0]]);
  await store.stop();
  await restoreBackup(old, { directory, replace: true, actor: 'cli' });
  const { store: again } = await openStore(t, { directory });
  assert.equal(await again.sampleImage(samples[0] ?? ''), null);
  assert.equal((await again.samples((await again.people())[0]?.id ?? '')).length, 2);
});

test('a restored gallery is the backup without those who were deleted since, and its audit says so', async (t) => {
  const { store, directory } = await openStore(t);
  const anna = await store.enroll({ ...enrolment, name: 'Anna', add: [sample(random)] });
  await store.enroll({ ...enrolment, name: 'Ben', add: [sample(random)] });
  const path = join(await temporaryDir(t), 'faced.db');
  await store.backup(path);
  await store.removePerson(anna.person.id);
  await store.enroll({ ...enrolment, name: 'Carl', add: [sample(random)] });
  const { head } = await store.verifyAudit();
  const options = { directory, ...keep };
  await assert.rejects(restoreBackup(path, options), { code: 'gallery.locked' });
  await store.stop();
  await assert.rejects(restoreBackup(path, options), { code: 'gallery.occupied', message: /2 people/ });
  const done = await restoreBackup(path, { ...options, replace: true });
  assert.deepEqual({ ...done, madeAt: 0 }, { people: 1, samples: 1, madeAt: 0, deletedAgain: 1 });
  const { store: again } = await openStore(t, { directory });
  assert.deepEqual(
    (await again.people()).map(({ name }) => name),
    ['Ben'],
  );
  const rows = await again.exportAudit({ limit: 10 });
  const last = rows.at(-1);
  assert.equal(last?.kind, 'restore');
  assert.equal(last?.detail.before, head);
  assert.equal((await again.verifyAudit()).ok, true);
});

test('a backup of a version that keeps no end of the audit is restored, and from then on it is kept', async (t) => {
  const { store, directory } = await openStore(t);
  await store.audit({ kind: 'a', actor: 'cli', detail: {} });
  const path = join(await temporaryDir(t), 'old.db');
  await store.backup(path);
  await store.stop();
  const copy = new Database(path);
  copy.exec('DROP TABLE audit_end; DELETE FROM additions WHERE id = 303');
  copy.close();
  await restoreBackup(path, { directory, replace: true, actor: 'cli' });
  const { store: again } = await openStore(t, { directory });
  assert.equal((await again.verifyAudit()).ok, true);
  await again.audit({ kind: 'b', actor: 'cli', detail: {} });
  assert.equal((await again.verifyAudit()).ok, true);
});

test('a restore onto a new machine needs the key, and says which', async (t) => {
  const { store, directory } = await openStore(t);
  await store.enroll({ ...enrolment, name: 'Anna', add: [sample(random)] });
  const path = join(await temporaryDir(t), 'faced.db');
  const { keyId } = await store.backup(path);
  const fresh = await temporaryDir(t);
  const options = { directory: fresh, ...keep };
  const fix = new RegExp(keyId);
  await assert.rejects(restoreBackup(path, options), { code: 'gallery.key-unusable', fix });
  writeFileSync(join(fresh, 'gallery.key'), `${'ab'.repeat(32)}\n`, { mode: 0o600 });
  await assert.rejects(restoreBackup(path, options), { code: 'gallery.key-wrong', fix });
  copyFileSync(join(directory, 'gallery.key'), join(fresh, 'gallery.key'));
  assert.equal((await restoreBackup(path, options)).people, 1);
  assert.equal((await (await openStore(t, { directory: fresh })).store.people())[0]?.name, 'Anna');
});

test('what is no backup is refused, and a damaged gallery can be replaced', async (t) => {
  const { store, directory } = await openStore(t);
  await store.enroll({ ...enrolment, name: 'Anna', add: [sample(random)] });
  const dir = await temporaryDir(t);
  const [path, broken, text] = [join(dir, 'faced.db'), join(dir, 'broken.db'), join(dir, 'text.db')];
  await store.backup(path);
  await store.stop();
  copyFileSync(path, broken);
  truncateSync(broken, Math.floor(statSync(broken).size / 8192) * 4096);
  writeFileSync(text, 'not a database\n'.repeat(100));
  for (const bad of [broken, text]) {
    const options = { directory, ...keep, replace: true };
    await assert.rejects(restoreBackup(bad, options), { code: 'gallery.corrupt' });
  }
  await assert.rejects(inspectBackup(text, { directory }), { code: 'gallery.corrupt' });
  await assert.rejects(inspectBackup(join(dir, 'none.db'), { directory }), { code: 'gallery.not-found' });
  assert.equal((await (await openStore(t, { directory })).store.people()).length, 1, 'nothing was replaced');
});

test('a gallery that cannot be read is replaced when that is said', async (t) => {
  const { store, directory } = await openStore(t);
  await store.enroll({ ...enrolment, name: 'Anna', add: [sample(random)] });
  const path = join(await temporaryDir(t), 'faced.db');
  await store.backup(path);
  await store.stop();
  writeFileSync(join(directory, 'gallery.db'), 'damaged'.repeat(1000));
  writeFileSync(join(directory, 'gallery.db-wal'), 'damaged');
  await assert.rejects(restoreBackup(path, { directory, ...keep }), { code: 'gallery.occupied' });
  const done = await restoreBackup(path, { directory, ...keep, replace: true });
  assert.equal(done.deletedAgain, null, 'who was deleted since is not known');
  assert.equal((await (await openStore(t, { directory })).store.people())[0]?.name, 'Anna');
});

test('a backup that is named for an earlier time than others is not pushed out by them, and they forget who was deleted', async (t) => {
  const { store } = await openStore(t);
  const { person } = await store.enroll({ ...enrolment, name: 'Anna', add: [sample(random)] });
  const directory = await temporaryDir(t);
  // Made under a clock that was ahead.
  const ahead = ['faced-20980101T000000Z.db', 'faced-20990101T000000Z.db'].map((name) =>
    join(directory, name),
  );
  for (const path of ahead) await store.backup(path);
  await store.removePerson(person.id);
  const { path, removed, purged, failed } = await store.rotateBackups({ directory, keep: 2 });
  assert.deepEqual({ removed, purged, failed }, { removed: [ahead[0]], purged: 1, failed: [] });
  assert.deepEqual(
    readdirSync(directory).sort(),
    [path, ahead[1] ?? ''].map((one) => basename(one)),
  );
});
