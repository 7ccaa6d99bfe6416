import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { openStore } from './support.js';

test('the audit chain grows, is exported in pages and verified', async (t) => {
  const { store, directory } = await openStore(t);
  assert.deepEqual(await store.verifyAudit(), { ok: true, rows: 0, head: null, brokenAt: null });
  for (let i = 1; i <= 5; i++) await store.audit({ kind: 'unlock', actor: 'mqtt', detail: { n: i } });
  const rows = await store.exportAudit({ limit: 10 });
  assert.deepEqual(
    rows.map(({ seq, kind, actor, detail }) => [seq, kind, actor, detail.n]),
    [...[1, 2, 3, 4, 5].map((n) => [n, 'unlock', 'mqtt', n])],
  );
  assert.deepEqual(await store.exportAudit({ after: 3, limit: 1 }), rows.slice(3, 4));
  const state = { ok: true, rows: 5, head: rows[4]?.hash ?? '', brokenAt: null };
  assert.deepEqual(await store.verifyAudit(), state);
  await store.stop();
  assert.deepEqual(await (await openStore(t, { directory })).store.verifyAudit(), state);
});

test('rows cannot be changed, removed or replaced, and a forged one is found', async (t) => {
  const { store, directory } = await openStore(t);
  for (let i = 1; i <= 4; i++) await store.audit({ kind: 'enroll', actor: 'cli', detail: { n: i } });
  const head = (await store.verifyAudit()).head;
  await store.stop();
  const db = new Database(join(directory, 'gallery.db'));
  const refused = /append-only/;
  const replace = `INSERT OR REPLACE INTO audit SELECT seq, time, 'x', actor, detail, previous, hash FROM audit WHERE seq = 2`;
  assert.throws(() => db.exec("UPDATE audit SET kind = 'x' WHERE seq = 2"), refused);
  assert.throws(() => db.exec('DELETE FROM audit WHERE seq = 4'), refused);
  assert.throws(() => db.exec(replace), refused);
  db.exec(`DROP TRIGGER audit_no_update; DROP TRIGGER audit_no_delete`);
  db.exec(`UPDATE audit SET detail = '{"n":9}' WHERE seq = 3`);
  db.close();
  const forged = (await openStore(t, { directory })).store;
  assert.deepEqual(
    { ...(await forged.verifyAudit()), head: '' },
    { ok: false, rows: 2, head: '', brokenAt: 3 },
  );
  await forged.stop();
  const cut = new Database(join(directory, 'gallery.db'));
  cut.exec('DELETE FROM audit WHERE seq >= 3');
  cut.close();
  const state = await (await openStore(t, { directory })).store.verifyAudit();
  assert.equal(state.ok, true, 'a chain that was cut off at its end fits');
  assert.notEqual(state.head, head, 'and is told by its head');
});

test('other calls are answered while a long chain is verified', async (t) => {
  const { store } = await openStore(t);
  await Promise.all(
    Array.from({ length: 900 }, (_, n) => store.audit({ kind: 'k', actor: 'daemon', detail: { n } })),
  );
  await Promise.all(
    Array.from({ length: 900 }, (_, n) => store.audit({ kind: 'k', actor: 'daemon', detail: { n } })),
  );
  const order: string[] = [];
  await Promise.all([
    store.verifyAudit().then((state) => order.push(`verified ${state.ok}`)),
    store.ensurePerson('Anna').then(() => order.push('person')),
    store.audit({ kind: 'late', actor: 'cli', detail: {} }).then(() => order.push('audit')),
  ]);
  assert.deepEqual(order, ['person', 'audit', 'verified true']);
});
