import { randomBytes } from 'node:crypto';
import { monotonicFactory } from 'ulid';
import { type Principal, SCOPES, type Scope } from '../domain/access.js';
import { FacedError } from '../domain/errors.js';
import { type Clock, systemClock } from '../lib/clock.js';
import {
  asCode,
  type CodeRecord,
  checkName,
  checkPassword,
  hashOf,
  LONGEST_PASSWORD,
  newCode,
  plainCode,
  same,
} from './access-secrets.js';
import { hashPassword, type PasswordHash, verifyPassword } from './password.js';
import type { Store } from './ports.js';
import { Throttle } from './throttle.js';

/** A token as it may be shown: not the secret, of which only a hash is kept. */
export interface TokenInfo {
  readonly id: string;
  readonly label: string;
  readonly scopes: readonly Scope[];
  /** Milliseconds since 1970; `until` null: without an end. */
  readonly createdAt: number;
  readonly until: number | null;
}

export interface AccountInfo {
  readonly id: string;
  readonly name: string;
  readonly createdAt: number;
}

export interface SignedIn {
  readonly account: AccountInfo;
  /** The cookie's value. */
  readonly session: string;
}

interface Token extends TokenInfo {
  readonly hash: string;
}

interface Account extends AccountInfo {
  readonly password: PasswordHash;
}

interface Session {
  readonly id: string;
  readonly account: string;
  readonly until: number;
}

/** Whether the home network may come in, and the code that the first account needs. */
interface Door {
  readonly open: boolean;
  readonly code: CodeRecord | null;
}

type Kind = 'token' | 'account' | 'session' | 'door';

const MAX_TOKENS = 100;
const MAX_ACCOUNTS = 20;
const MAX_SESSIONS = 100;
const SESSION_MS = 30 * 24 * 60 * 60 * 1000;
/** A session is written again at most this often. */
const RENEW_MS = 24 * 60 * 60 * 1000;
const CODE_MS = 15 * 60 * 1000;
const CODE_TRIES = 5;
/** Wrong passwords for one name in a row before the next has to wait. */
const FREE_TRIES = 5;

/** What can be called over the control socket, beside the service's own. */
export const ACCESS_METHODS = [
  'createToken',
  'tokens',
  'revokeToken',
  'openToNetwork',
  'closeToNetwork',
  'pairingCode',
] as const satisfies readonly (keyof Access)[];

/** Tokens, accounts and sessions: who may ask over HTTP, and for what. All of it is in memory, each change on disk before it holds. */
export class Access {
  readonly #store: Pick<Store, 'accessRecords' | 'putAccess' | 'removeAccess' | 'audit'>;
  readonly #clock: Clock;
  readonly #ulid = monotonicFactory();
  readonly #tokens = new Map<string, Token>();
  readonly #accounts = new Map<string, Account>();
  readonly #sessions = new Map<string, Session>();
  /** Wrong passwords by name. */
  readonly #wrong: Throttle;
  readonly #listeners = new Set<() => void>();
  #door: Door = { open: false, code: null };
  #loaded: Promise<void> | undefined;

  constructor(
    store: Pick<Store, 'accessRecords' | 'putAccess' | 'removeAccess' | 'audit'>,
    clock: Clock = systemClock,
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#wrong = new Throttle({ clock, freeTries: FREE_TRIES });
  }

  /** Told when the network is let in or shut out, and when the first account is there. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  // ---- tokens ------------------------------------------------------------------------------------

  /** The secret is in this answer and nowhere else. */
  async createToken(request: {
    scopes: readonly string[];
    label: string;
    days: number | null;
    actor: string;
  }): Promise<TokenInfo & { readonly token: string }> {
    await this.#load();
    const scopes = SCOPES.filter((one) => request.scopes.includes(one));
    const unknown = request.scopes.filter((one) => !(SCOPES as readonly string[]).includes(one));
    if (unknown.length > 0 || scopes.length === 0)
      throw new FacedError('http.invalid', `a token's scopes are some of ${SCOPES.join(', ')}`);
    if (request.days !== null && !(request.days > 0))
      throw new FacedError('http.invalid', 'a token lasts for at least a day, or without an end');
    if (this.#tokens.size >= MAX_TOKENS)
      throw new FacedError('http.conflict', `there are ${MAX_TOKENS} tokens already`, {
        fix: 'revoke those that nobody uses: faced token list, faced token revoke ID',
      });
    const secret = `faced_${randomBytes(32).toString('base64url')}`;
    const now = this.#clock.wall();
    const token: Token = {
      id: this.#ulid(now),
      label: request.label.slice(0, 100),
      scopes,
      createdAt: now,
      until: request.days === null ? null : now + request.days * 86_400_000,
      hash: hashOf(secret),
    };
    await this.#put('token', token);
    this.#tokens.set(token.id, token);
    await this.#audit('token-created', request.actor, { token: token.id, scopes, until: token.until });
    return { ...shown(token), token: secret };
  }

  async tokens(): Promise<TokenInfo[]> {
    await this.#load();
    return [...this.#tokens.values()].map(shown);
  }

  async revokeToken(request: { id: string; actor: string }): Promise<TokenInfo> {
    await this.#load();
    const token = this.#tokens.get(request.id);
    if (token === undefined)
      throw new FacedError('gallery.not-found', 'no token has this id', {
        fix: 'faced token list shows them',
      });
    this.#tokens.delete(token.id);
    await this.#store.removeAccess({ kind: 'token', id: token.id });
    await this.#audit('token-revoked', request.actor, { token: token.id });
    return shown(token);
  }

  /** Whose token this is; null when it is nobody's, or its time is over. */
  async byToken(secret: string): Promise<Principal | null> {
    await this.#load();
    const hash = hashOf(secret);
    const now = this.#clock.wall();
    // Hashes of 256 random bits: which of them is compared first says nothing about a secret.
    for (const token of this.#tokens.values())
      if (same(token.hash, hash))
        return token.until !== null && token.until <= now
          ? null
          : { actor: `token:${token.id}`, scopes: token.scopes };
    return null;
  }

  // ---- accounts and sessions -----------------------------------------------------------------------

  async accounts(): Promise<AccountInfo[]> {
    await this.#load();
    return [...this.#accounts.values()].map(accountInfo);
  }

  /** The first account, by whoever has the code that was shown on the console. */
  async createFirstAccount(request: { name: string; password: string; code: string }): Promise<SignedIn> {
    await this.#load();
    if (this.#accounts.size > 0)
      throw new FacedError('http.conflict', 'there is an account already', { fix: 'sign in with it' });
    checkPassword(request.password);
    const name = checkName(request.name);
    await this.#useCode(request.code);
    const account = await this.#createAccount(name, request.password);
    await this.#audit('account-created', `account:${account.id}`, { account: account.id, first: true });
    this.#changed();
    return this.#signIn(account);
  }

  async createAccount(request: { name: string; password: string; actor: string }): Promise<AccountInfo> {
    await this.#load();
    checkPassword(request.password);
    const name = checkName(request.name);
    if ([...this.#accounts.values()].some((one) => one.name === name))
      throw new FacedError('http.conflict', 'an account has this name already', {
        fix: 'choose another name',
      });
    if (this.#accounts.size >= MAX_ACCOUNTS)
      throw new FacedError('http.conflict', `there are ${MAX_ACCOUNTS} accounts already`);
    const account = await this.#createAccount(name, request.password);
    await this.#audit('account-created', request.actor, { account: account.id });
    return accountInfo(account);
  }

  async removeAccount(request: { id: string; actor: string }): Promise<AccountInfo> {
    await this.#load();
    const account = this.#accounts.get(request.id);
    if (account === undefined) throw new FacedError('gallery.not-found', 'no account has this id');
    if (this.#accounts.size === 1)
      throw new FacedError('http.conflict', 'the last account cannot be removed', {
        fix: 'make another one first',
      });
    this.#accounts.delete(account.id);
    for (const session of [...this.#sessions.values()])
      if (session.account === account.id) await this.#endSession(session.id);
    await this.#store.removeAccess({ kind: 'account', id: account.id });
    await this.#audit('account-removed', request.actor, { account: account.id });
    return accountInfo(account);
  }

  /** Rejects with `http.unauthorized`, or with `http.locked` after too many wrong passwords for this name. */
  async signIn(request: { name: string; password: string }): Promise<SignedIn> {
    await this.#load();
    const name = request.name.normalize('NFC').trim().slice(0, 200);
    this.#wrong.check(name);
    const account = [...this.#accounts.values()].find((one) => one.name === name);
    // As long for a name that is not there as for one that is.
    const right = await verifyPassword(request.password.slice(0, LONGEST_PASSWORD), account?.password);
    if (!right || account === undefined) {
      this.#wrong.wrong(name);
      await this.#audit('sign-in-refused', 'http', { account: account?.id ?? null });
      throw new FacedError('http.unauthorized', 'the name or the password is wrong');
    }
    this.#wrong.right(name);
    await this.#audit('signed-in', `account:${account.id}`, {});
    return this.#signIn(account);
  }

  async bySession(secret: string): Promise<(Principal & { readonly account: AccountInfo }) | null> {
    await this.#load();
    const session = this.#sessions.get(hashOf(secret));
    const account = session === undefined ? undefined : this.#accounts.get(session.account);
    const now = this.#clock.wall();
    if (session === undefined || account === undefined || session.until <= now) return null;
    if (session.until - now < SESSION_MS - RENEW_MS) {
      const renewed = { ...session, until: now + SESSION_MS };
      this.#sessions.set(session.id, renewed);
      await this.#put('session', renewed);
    }
    return { actor: `account:${account.id}`, scopes: SCOPES, account: accountInfo(account) };
  }

  async signOut(secret: string): Promise<void> {
    await this.#load();
    await this.#endSession(hashOf(secret));
  }

  // ---- the home network ----------------------------------------------------------------------------

  /** The home network may come in from now on; with no account yet, the answer has the code that the first one needs. */
  async openToNetwork(request: { actor: string }): Promise<{ code: string | null; until: number | null }> {
    await this.#load();
    const code = this.#accounts.size === 0 ? newCode() : null;
    const until = code === null ? null : this.#clock.wall() + CODE_MS;
    await this.#setDoor({ open: true, code: asCode(code, until) });
    await this.#audit('http-opened', request.actor, {});
    return { code, until };
  }

  async closeToNetwork(request: { actor: string }): Promise<{ open: boolean }> {
    await this.#load();
    await this.#setDoor({ open: false, code: null });
    await this.#audit('http-closed', request.actor, {});
    return { open: false };
  }

  /** A code for the first account on this machine itself. */
  async pairingCode(request: { actor: string }): Promise<{ code: string | null; until: number | null }> {
    await this.#load();
    const code = this.#accounts.size === 0 ? newCode() : null;
    const until = code === null ? null : this.#clock.wall() + CODE_MS;
    if (code !== null) await this.#setDoor({ ...this.#door, code: asCode(code, until) });
    await this.#audit('http-code', request.actor, {});
    return { code, until };
  }

  /** Whether to listen on the home network: it was opened, and there is an account, or a code for the first one that still holds. */
  async isOpen(): Promise<boolean> {
    await this.#load();
    const { open, code } = this.#door;
    return open && (this.#accounts.size > 0 || (code !== null && code.until > this.#clock.wall()));
  }

  /** The store is another one: everything is read again. */
  async reload(): Promise<void> {
    for (const map of [this.#tokens, this.#accounts, this.#sessions]) map.clear();
    this.#loaded = undefined;
    await this.#load();
  }

  // ---- inside --------------------------------------------------------------------------------------

  #load(): Promise<void> {
    this.#loaded ??= this.#readAll().catch((error: unknown) => {
      this.#loaded = undefined;
      throw error;
    });
    return this.#loaded;
  }

  async #readAll(): Promise<void> {
    const now = this.#clock.wall();
    for (const { kind, id, body } of await this.#store.accessRecords()) {
      const value = JSON.parse(body) as never;
      if (kind === 'token') this.#tokens.set(id, value);
      if (kind === 'account') this.#accounts.set(id, value);
      if (kind === 'door') this.#door = value;
      if (kind === 'session') {
        if ((value as Session).until > now) this.#sessions.set(id, value);
        else await this.#store.removeAccess({ kind, id });
      }
    }
  }

  async #createAccount(name: string, password: string): Promise<Account> {
    const now = this.#clock.wall();
    const account = { id: this.#ulid(now), name, createdAt: now, password: await hashPassword(password) };
    await this.#put('account', account);
    this.#accounts.set(account.id, account);
    return account;
  }

  async #signIn(account: Account): Promise<SignedIn> {
    const secret = randomBytes(32).toString('base64url');
    const session = { id: hashOf(secret), account: account.id, until: this.#clock.wall() + SESSION_MS };
    if (this.#sessions.size >= MAX_SESSIONS) {
      const [oldest] = [...this.#sessions.values()].sort((a, b) => a.until - b.until);
      if (oldest !== undefined) await this.#endSession(oldest.id);
    }
    await this.#put('session', session);
    this.#sessions.set(session.id, session);
    return { account: accountInfo(account), session: secret };
  }

  async #endSession(id: string): Promise<void> {
    if (this.#sessions.delete(id)) await this.#store.removeAccess({ kind: 'session', id });
  }

  /** A code is for one use, and ends after a few wrong tries. */
  async #useCode(given: string): Promise<void> {
    const { code } = this.#door;
    const refused = new FacedError('http.unauthorized', 'the code is wrong, or its time is over', {
      fix: 'faced http open, on the machine itself, shows a new one',
    });
    if (code === null || code.until <= this.#clock.wall()) throw refused;
    if (same(code.hash, hashOf(plainCode(given)))) {
      await this.#setDoor({ ...this.#door, code: null }, false);
      return;
    }
    const tries = code.tries + 1;
    await this.#setDoor({ ...this.#door, code: tries < CODE_TRIES ? { ...code, tries } : null });
    throw refused;
  }

  async #setDoor(door: Door, tell = true): Promise<void> {
    await this.#store.putAccess({ kind: 'door', id: 'door', body: JSON.stringify(door) });
    this.#door = door;
    if (tell) this.#changed();
  }

  #put(kind: Kind, value: { readonly id: string }): Promise<void> {
    return this.#store.putAccess({ kind, id: value.id, body: JSON.stringify(value) });
  }

  #audit(kind: string, actor: string, detail: Readonly<Record<string, unknown>>): Promise<void> {
    return this.#store.audit({ kind, actor, detail });
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

function shown({ id, label, scopes, createdAt, until }: Token): TokenInfo {
  return { id, label, scopes, createdAt, until };
}

function accountInfo({ id, name, createdAt }: Account): AccountInfo {
  return { id, name, createdAt };
}
