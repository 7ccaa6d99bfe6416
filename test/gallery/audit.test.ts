import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { Audit } from '../../src/gallery/audit.js';
import { openGallery } from '../../src/gallery/database.js';
import type { AuditState, Store } from '../../src/pipeline/ports.js';
import { event, openStore } from './support.js';

const DAY_MS = 86_400_000;

/** What a walk found, without what differs from run to run. */
function found({ ok, rows, brokenAt, problem }: AuditState): Partial<AuditState> {
  return { ok, rows, brokenAt, problem };
}

async function unlocks(store: Store, count: number): Promise<void> {
  for (let n = 1; n <= count; n++) await store.audit({ kind: 'unlock', actor: 'mqtt', detail: { n } });
}

/** Changes the closed database as somebody with the file could. */
function tamper(directory: string, sql: string): void {
  const db = new Database(join(directory, 'gallery.db'));
  try {
    db.exec(sql);
  } finally {
    db.close();
  }
}

/** What is kept of the chain's end, hexadecimal. */
function sealedEnd(directory: string): string {
  const db = new Database(join(directory, 'gallery.db'), { readonly: true });
  try {
    return (db.prepare('SELECT sealed FROM audit_end').pluck().get() as Buffer).toString('hex');
  } finally {
    db.close();
  }
}

/** A store whose audit has rows of so many days ago. */
async function aged(t: TestContext, days: readonly number[]): Promise<{ store: Store; directory: string }> {
  const { store, directory } = await openStore(t);
  await store.stop();
  const gallery = await openGallery({ directory });
  const audit = new Audit(gallery.db, gallery.sealer);
  for (const [n, day] of days.entries())
    audit.append({ kind: 'unlock', actor: 'mqtt', detail: { n } }, Date.now() - day * DAY_MS);
  gallery.close();
  return { store: (await openStore(t, { directory })).store, directory };
}

test('the audit chain grows, is exported in pages and verified', async (t) => {
  const { store, directory } = await openStore(t);
  assert.deepEqual(found(await store.verifyAudit()), { ok: true, rows: 0, brokenAt: null, problem: null });
  assert.equal(await store.auditHead(), null);
  await unlocks(store, 5);
  const rows = await store.exportAudit({ limit: 10 });
  assert.deepEqual(
    rows.map(({ seq, kind, actor, detail }) => [seq, kind, actor, detail.n]),
    [...[1, 2, 3, 4, 5].map((n) => [n, 'unlock', 'mqtt', n])],
  );
  assert.deepEqual(await store.exportAudit({ after: 3, limit: 1 }), rows.slice(3, 4));
  const state = await store.verifyAudit();
  assert.deepEqual(found(state), { ok: true, rows: 5, brokenAt: null, problem: null });
  assert.equal(state.head, rows[4]?.hash);
  assert.equal(state.cut, null);
  await store.stop();
  assert.deepEqual(await (await openStore(t, { directory })).store.verifyAudit(), state);
});

test('each decision has its row, once, without a name', async (t) => {
  const { store } = await openStore(t);
  const one = event('Wilhelmina');
  await store.recordEvent(one, []);
  await store.recordEvent(one, []);
  const rows = await store.exportAudit({ limit: 10 });
  assert.deepEqual(
    rows.map(({ kind, actor, detail }) => ({ kind, actor, detail })),
    [
      {
        kind: 'decision',
        actor: 'daemon',
        detail: {
          event: one.id,
          decision: 'known',
          camera: 'porch',
          track: one.track,
          person: one.person?.id,
        },
      },
    ],
  );
  assert.equal((await store.exportAudit({ limit: 10, about: one.person?.id ?? '' })).length, 1);
  assert.equal((await store.exportAudit({ limit: 10, about: 'someone' })).length, 0);
  assert.equal((await store.exportAudit({ limit: 10, kind: 'unlock' })).length, 0);
});

test('rows cannot be changed, removed or replaced, and a forged one is found', async (t) => {
  const { store, directory } = await openStore(t);
  await unlocks(store, 4);
  const { head } = await store.verifyAudit();
  await store.stop();
  const refused = /append-only/;
  const replace = `INSERT OR REPLACE INTO audit SELECT seq, time, 'x', actor, detail, previous, hash FROM audit WHERE seq = 2`;
  assert.throws(() => tamper(directory, "UPDATE audit SET kind = 'x' WHERE seq = 2"), refused);
  assert.throws(() => tamper(directory, 'DELETE FROM audit WHERE seq = 4'), refused);
  assert.throws(() => tamper(directory, replace), refused);
  tamper(
    directory,
    `DROP TRIGGER audit_no_update; DROP TRIGGER audit_no_delete; UPDATE audit SET detail = '{"n":9}' WHERE seq = 3`,
  );
  const forged = (await openStore(t, { directory })).store;
  const state = await forged.verifyAudit();
  assert.deepEqual(found(state), { ok: false, rows: 2, brokenAt: 3, problem: 'row-changed' });
  await forged.stop();
  tamper(directory, 'DELETE FROM audit WHERE seq >= 3');
  const cut = (await openStore(t, { directory })).store;
  const shorter = await cut.verifyAudit();
  assert.deepEqual(
    [shorter.ok, shorter.problem],
    [false, 'end-missing'],
    'what is left fits, but it is not all',
  );
  assert.notEqual(shorter.head, head);
  const told = await cut.verifyAudit({ hash: head ?? '' });
  assert.deepEqual([told.ok, told.problem], [false, 'head-missing']);
});

test('a head is signed, verifies by its own words, and stays in the chain', async (t) => {
  const { store, directory } = await openStore(t);
  await unlocks(store, 3);
  const head = await store.auditHead();
  assert.ok(head !== null);
  const text = JSON.stringify(['faced/audit/head/1', head.seq, head.time, head.hash]);
  const der = Buffer.concat([
    Buffer.from('302a300506032b6570032100', 'hex'),
    Buffer.from(head.key, 'base64url'),
  ]);
  const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
  assert.ok(verify(null, Buffer.from(text), key, Buffer.from(head.sig, 'base64url')));
  await unlocks(store, 2);
  const claim = { hash: head.hash, seq: head.seq, signed: head };
  assert.equal((await store.verifyAudit(claim)).ok, true);
  assert.equal((await store.verifyAudit({ hash: head.hash })).ok, true);
  assert.equal((await store.verifyAudit({ hash: head.hash, seq: 2 })).problem, 'head-missing');
  const forged = { ...claim, signed: { ...head, time: new Date(0).toISOString() } };
  assert.equal((await store.verifyAudit(forged)).problem, 'head-forged');
  const other = (await (await openStore(t)).store.verifyAudit()).key;
  assert.equal(
    (await store.verifyAudit({ ...claim, signed: { ...head, key: other } })).problem,
    'head-forged',
  );
  await store.stop();
  const again = (await openStore(t, { directory })).store;
  assert.equal((await again.verifyAudit(claim)).key, head.key, 'the key is the same after a restart');
});

test('a chain that somebody wrote anew is found by a head that was kept', async (t) => {
  const { store, directory } = await openStore(t);
  await unlocks(store, 5);
  const head = await store.auditHead();
  await store.stop();
  tamper(directory, 'DROP TRIGGER audit_no_delete; DELETE FROM audit');
  const { store: again } = await openStore(t, { directory });
  await unlocks(again, 4);
  await again.audit({ kind: 'unlock', actor: 'mqtt', detail: { n: 'another story' } });
  assert.equal((await again.verifyAudit()).problem, 'end-missing', 'new rows do not hide what is gone');
  await again.stop();
  // Whoever knows how the end is kept can have it begun anew.
  tamper(directory, "UPDATE audit_end SET sealed = x''");
  const { store: fooled } = await openStore(t, { directory });
  assert.equal((await fooled.verifyAudit()).ok, true, 'the new chain fits in itself');
  const claim = { hash: head?.hash ?? '', seq: head?.seq ?? 0 };
  assert.deepEqual(found(await fooled.verifyAudit(claim)), {
    ...{ ok: false, rows: 5, brokenAt: null },
    problem: 'head-missing',
  });
});

test('the newest row taken off is found, and so is an end that was changed, moved back or forged', async (t) => {
  const changes: Readonly<Record<string, string>> = {
    'the newest row': 'DELETE FROM audit WHERE seq = 3',
    'all rows': 'DELETE FROM audit',
    'the newest row and the end': 'DELETE FROM audit WHERE seq = 3; DELETE FROM audit_end',
    'a forged end': 'DELETE FROM audit WHERE seq = 3; UPDATE audit_end SET sealed = zeroblob(68)',
    'the end alone': 'DELETE FROM audit_end',
  };
  for (const [what, sql] of Object.entries(changes)) {
    const { store, directory } = await openStore(t);
    await unlocks(store, 3);
    assert.equal((await store.verifyAudit()).ok, true);
    await store.stop();
    tamper(directory, `DROP TRIGGER audit_no_delete; ${sql}`);
    const { store: again } = await openStore(t, { directory });
    assert.equal((await again.verifyAudit()).problem, 'end-missing', what);
    await unlocks(again, 2);
    assert.equal((await again.verifyAudit()).problem, 'end-missing', `${what}, and new rows since`);
    await again.stop();
  }
});

test('a database of a version that keeps no end of the chain, and rows that such a version adds', async (t) => {
  const { store, directory } = await openStore(t);
  await unlocks(store, 3);
  await store.stop();
  tamper(directory, 'DROP TABLE audit_end; DELETE FROM additions WHERE id = 303');
  const { store: newer } = await openStore(t, { directory });
  assert.equal((await newer.verifyAudit()).ok, true);
  await unlocks(newer, 1);
  await newer.stop();
  const kept = sealedEnd(directory);
  const { store: more } = await openStore(t, { directory });
  await unlocks(more, 2);
  await more.stop();
  // As if the version before had written the last two.
  tamper(directory, `UPDATE audit_end SET sealed = x'${kept}'`);
  const { store: again } = await openStore(t, { directory });
  assert.equal((await again.verifyAudit()).ok, true);
  await unlocks(again, 1);
  assert.deepEqual(found(await again.verifyAudit()), { ok: true, rows: 7, brokenAt: null, problem: null });
});

test('retention cuts old rows off with a signed marker, and the chain still verifies', async (t) => {
  const { store, directory } = await aged(t, [400, 399, 370, 30, 1]);
  const [, second] = await store.exportAudit({ limit: 2 });
  assert.equal(await store.pruneAudit(365), 3);
  assert.equal(await store.pruneAudit(365), 0, 'once is enough');
  const rows = await store.exportAudit({ limit: 10 });
  assert.deepEqual(
    rows.map(({ seq, kind }) => [seq, kind]),
    [
      [4, 'unlock'],
      [5, 'unlock'],
      [6, 'audit.cut'],
    ],
  );
  const state = await store.verifyAudit();
  assert.deepEqual(found(state), { ok: true, rows: 3, brokenAt: null, problem: null });
  assert.equal(state.cut?.seq, 3);
  assert.equal((await store.verifyAudit({ hash: rows[0]?.previous ?? '', seq: 3 })).ok, true);
  const old = await store.verifyAudit({ hash: second?.hash ?? '', seq: 2 });
  assert.equal(old.problem, 'head-too-old');
  await store.stop();

  assert.throws(() => tamper(directory, 'DELETE FROM audit WHERE seq = 4'), /append-only/);
  assert.throws(() => tamper(directory, 'UPDATE audit_cut SET seq = 2'), /forward only/);
  // Moves the cut over a row that shall not be seen, with all that a file's owner can compute.
  tamper(
    directory,
    `UPDATE audit_cut SET seq = 4, hash = (SELECT hash FROM audit WHERE seq = 4); DELETE FROM audit WHERE seq = 4`,
  );
  const forged = await (await openStore(t, { directory })).store.verifyAudit();
  assert.deepEqual(found(forged), { ok: false, rows: 0, brokenAt: 4, problem: 'cut-forged' });
});

test('the newest row stays whatever its age, and the chain goes on from it', async (t) => {
  const { store } = await aged(t, [800, 700]);
  assert.equal(await store.pruneAudit(1), 1);
  await unlocks(store, 1);
  const state = await store.verifyAudit();
  assert.deepEqual(found(state), { ok: true, rows: 3, brokenAt: null, problem: null });
});

test('other calls are answered while a long chain is verified', async (t) => {
  const { store } = await openStore(t);
  for (let part = 0; part < 2; part++)
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
