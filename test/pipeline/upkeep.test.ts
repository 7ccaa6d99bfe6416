import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { silentLogger } from '../../src/lib/log.js';
import type { SignedHead } from '../../src/pipeline/ports.js';
import { Upkeep } from '../../src/pipeline/upkeep.js';
import { openStore } from '../gallery/support.js';

const HOUR_MS = 3_600_000;

test('a head is told at the start and again when an hour is over; with it a chain that was rewritten since is found', async (t) => {
  const { store, directory } = await openStore(t);
  t.mock.timers.enable({ apis: ['setInterval'] });
  const heads: SignedHead[] = [];
  let told = () => {};
  const upkeep = new Upkeep({
    store,
    log: silentLogger,
    auditKeepDays: () => 365,
    keepsStrangers: false,
    believedClock: async () => {},
    onHead: (head) => {
      heads.push(head);
      told();
    },
  });
  t.after(() => upkeep.stop());
  const unlock = (n: number) => store.audit({ kind: 'door.granted', actor: 'daemon', detail: { n } });
  await unlock(1);
  await upkeep.start();
  assert.equal(heads.length, 1);
  await unlock(2);
  await unlock(3);
  t.mock.timers.tick(HOUR_MS - 1);
  await store.auditHead();
  assert.equal(heads.length, 1, 'not before the hour is over');
  const second = new Promise<void>((resolve) => {
    told = resolve;
  });
  t.mock.timers.tick(1);
  await second;
  const [first, last] = heads;
  assert.deepEqual([first?.seq, last?.seq], [1, 3]);
  const claimOf = (head: SignedHead | undefined) => ({
    hash: head?.hash ?? '',
    seq: head?.seq ?? 0,
    ...(head === undefined ? {} : { signed: head }),
  });
  await unlock(4);
  assert.equal((await store.verifyAudit(claimOf(last))).ok, true, 'the chain goes on from its head');
  upkeep.stop();
  await store.stop();

  // Whoever owns the file writes the chain anew from its second row on: it fits in itself.
  const db = new Database(join(directory, 'gallery.db'));
  db.exec("DROP TRIGGER audit_no_delete; DELETE FROM audit WHERE seq > 1; UPDATE audit_end SET sealed = x''");
  db.close();
  const again = (await openStore(t, { directory })).store;
  for (const n of [20, 30, 40]) await again.audit({ kind: 'door.granted', actor: 'daemon', detail: { n } });
  assert.equal((await again.verifyAudit()).ok, true);
  assert.equal((await again.verifyAudit(claimOf(first))).ok, true, 'the first head came before');
  const { ok, problem } = await again.verifyAudit(claimOf(last));
  assert.deepEqual([ok, problem], [false, 'head-missing']);
});
