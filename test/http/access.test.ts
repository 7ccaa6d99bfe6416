import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Access } from '../../src/pipeline/access.js';
import { openStore } from '../gallery/support.js';
import { heldClock } from '../helpers/clock.js';

const PASSWORD = 'correct horse battery';

test('a token is known by its secret, until it is revoked or its time is over; a restart changes nothing', async (t) => {
  const { store } = await openStore(t);
  const clock = heldClock();
  const access = new Access(store, clock);
  const made = await access.createToken({
    scopes: ['read', 'recognize'],
    label: 'hall',
    days: null,
    actor: 'cli',
  });
  const short = await access.createToken({ scopes: ['admin'], label: '', days: 1, actor: 'cli' });
  assert.deepEqual(made.scopes, ['recognize', 'read']);
  assert.match(made.token, /^faced_[\w-]{43}$/);
  const stored = JSON.stringify(await store.accessRecords());
  assert.ok(!stored.includes(made.token), 'the secret itself is not kept');

  const again = new Access(store, clock);
  assert.deepEqual(await again.byToken(made.token), {
    actor: `token:${made.id}`,
    scopes: ['recognize', 'read'],
  });
  assert.equal(await again.byToken(`${made.token}x`), null);
  assert.equal(await again.byToken(''), null);
  assert.deepEqual((await again.byToken(short.token))?.scopes, ['admin']);
  clock.forward(86_400_001);
  assert.equal(await again.byToken(short.token), null);
  await again.revokeToken({ id: made.id, actor: 'cli' });
  assert.equal(await again.byToken(made.token), null);
  assert.equal(await new Access(store, clock).byToken(made.token), null);
  await assert.rejects(again.createToken({ scopes: ['root'], label: '', days: null, actor: 'cli' }), {
    code: 'http.invalid',
  });
  await assert.rejects(again.createToken({ scopes: [], label: '', days: null, actor: 'cli' }), {
    code: 'http.invalid',
  });
});

test('the first account needs the code of the console, which is for one use, some minutes and five tries', async (t) => {
  const { store } = await openStore(t);
  const clock = heldClock();
  const access = new Access(store, clock);
  const first = (code: string) => access.createFirstAccount({ name: 'Ada', password: PASSWORD, code });
  await assert.rejects(first('0000-0000'), { code: 'http.unauthorized' });
  assert.equal(await access.isOpen(), false);

  const late = await access.openToNetwork({ actor: 'cli' });
  assert.equal(await access.isOpen(), true);
  clock.forward(16 * 60 * 1000);
  assert.equal(
    await access.isOpen(),
    false,
    'without an account the network is let in only while the code holds',
  );
  await assert.rejects(first(late.code ?? ''), { code: 'http.unauthorized' });

  const guessed = await access.openToNetwork({ actor: 'cli' });
  for (let count = 0; count < 5; count++)
    await assert.rejects(first('0000-0000'), { code: 'http.unauthorized' });
  await assert.rejects(first(guessed.code ?? ''), { code: 'http.unauthorized' });

  const { code } = await access.openToNetwork({ actor: 'cli' });
  const typed = (code ?? '').toLowerCase().replace('-', ' ');
  const { account, session } = await first(typed);
  assert.equal(account.name, 'Ada');
  assert.equal((await access.bySession(session))?.account.id, account.id);
  assert.equal(await access.isOpen(), true);
  await assert.rejects(first(code ?? ''), { code: 'http.conflict' });
  assert.equal((await access.openToNetwork({ actor: 'cli' })).code, null, 'no code once there is an account');
});

test('sign in: wrong passwords make the next try wait, also for names that nobody has', async (t) => {
  const { store } = await openStore(t);
  const clock = heldClock();
  const access = new Access(store, clock);
  const { code } = await access.pairingCode({ actor: 'cli' });
  await assert.rejects(access.createFirstAccount({ name: 'Ada', password: 'short', code: code ?? '' }), {
    code: 'http.invalid',
  });
  const { account } = await access.createFirstAccount({ name: 'Ada', password: PASSWORD, code: code ?? '' });
  for (const name of ['Ada', 'Nobody']) {
    const signIn = (password: string) => access.signIn({ name, password });
    for (let count = 0; count < 5; count++)
      await assert.rejects(signIn('wrong password'), { code: 'http.unauthorized' });
    await assert.rejects(signIn(PASSWORD), { code: 'http.locked' }, 'even the right one has to wait');
    clock.forward(60_000);
  }
  const { session } = await access.signIn({ name: 'Ada', password: PASSWORD });
  assert.equal((await access.bySession(session))?.actor, `account:${account.id}`);
  await access.signOut(session);
  assert.equal(await access.bySession(session), null);
  const kinds = (await store.exportAudit({ limit: 100 })).map(({ kind }) => kind);
  assert.equal(kinds.filter((kind) => kind === 'sign-in-refused').length, 10);
  assert.ok(kinds.includes('signed-in'));
});

test('a session ends with its time or its account, and not with a restart', async (t) => {
  const { store } = await openStore(t);
  const clock = heldClock();
  const access = new Access(store, clock);
  const { code } = await access.pairingCode({ actor: 'cli' });
  const first = await access.createFirstAccount({ name: 'Ada', password: PASSWORD, code: code ?? '' });
  const again = new Access(store, clock);
  assert.notEqual(await again.bySession(first.session), null);
  const second = await again.createAccount({ name: 'Bea', password: PASSWORD, actor: 'x' });
  const bea = await again.signIn({ name: 'Bea', password: PASSWORD });
  await again.removeAccount({ id: second.id, actor: 'x' });
  assert.equal(await again.bySession(bea.session), null);
  await assert.rejects(again.removeAccount({ id: first.account.id, actor: 'x' }), { code: 'http.conflict' });
  clock.forward(31 * 86_400_000);
  assert.equal(await again.bySession(first.session), null);
});
