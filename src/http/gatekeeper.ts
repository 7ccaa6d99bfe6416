import { createHmac, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { mayDo, type Principal } from '../domain/access.js';
import { FacedError } from '../domain/errors.js';
import type { Access, AccountInfo } from '../pipeline/access.js';
import type { Throttle } from '../pipeline/throttle.js';
import { type Arrivals, type Arrived, single } from './arrival.js';
import { neighbour } from './network.js';
import type { Who } from './route.js';
import type { UseLog } from './use-log.js';

export interface GatekeeperParts {
  readonly access: Pick<Access, 'byToken' | 'bySession'>;
  readonly throttle: Throttle;
  readonly uses: UseLog;
  readonly arrivals: Arrivals;
}

/** What is known of whoever asks. */
export interface Visitor extends Arrived {
  readonly principal: Principal | null;
  readonly account: AccountInfo | null;
  /** The cookie's value, of a session that holds. */
  readonly session: string | null;
}

export const SESSION_COOKIE = 'faced_session';
/** Browsers take a cookie with this prefix only over TLS and for the one host that set it. */
export const SECURE_COOKIE = `__Host-${SESSION_COOKIE}`;
const CSRF_HEADER = 'x-csrf-token';
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** What a page of ours has to send with everything that changes something: who only has the cookie sent along cannot know it. */
export function csrfOf(session: string): string {
  return createHmac('sha256', session).update('faced/csrf/1').digest('base64url');
}

/** Who asks, and whether they may: before a single byte of the body is read. */
export class Gatekeeper {
  readonly #parts: GatekeeperParts;
  readonly #visitors = new WeakMap<FastifyRequest, Visitor>();

  constructor(parts: GatekeeperParts) {
    this.#parts = parts;
  }

  /** Who made a request that was admitted. */
  visitor(request: FastifyRequest): Visitor {
    const visitor = this.#visitors.get(request);
    if (visitor === undefined) throw new FacedError('internal', 'a request was not looked at');
    return visitor;
  }

  sessionOf(request: FastifyRequest): string | null {
    return this.visitor(request).session;
  }

  /**
   * Work that takes a password or code from whoever asks: wrong ones make the address wait. They are counted apart from
   * wrong tokens: whoever has a token of any scope would otherwise wipe out the count of passwords they guess.
   */
  async guarded<Result>(request: FastifyRequest, work: () => Promise<Result>): Promise<Result> {
    const guesser = `password ${neighbour(this.visitor(request).address)}`;
    const { throttle } = this.#parts;
    throttle.check(guesser);
    try {
      const result = await work();
      throttle.right(guesser);
      return result;
    } catch (error) {
      if (FacedError.from(error).code === 'http.unauthorized') throttle.wrong(guesser);
      throw error;
    }
  }

  /** Rejects with `http.unauthorized`, `http.forbidden`, `http.cross-site` or `http.locked`; what was refused, and what was allowed to somebody, is on record. */
  async admit(request: FastifyRequest, wanted: Who, route: string): Promise<Visitor> {
    const visitor = await this.#look(request, wanted, route);
    this.#visitors.set(request, visitor);
    return visitor;
  }

  async #look(request: FastifyRequest, wanted: Who, route: string): Promise<Visitor> {
    const arrival = this.#parts.arrivals.check(request.raw);
    const { address } = arrival;
    const guesser = neighbour(address);
    const { throttle, uses } = this.#parts;
    const anyone = wanted === 'anyone' || (wanted === 'local' && arrival.local);
    const bearer = bearerOf(request.headers.authorization);
    // Before the first look at a secret: somebody who guesses is not even told when right.
    if (bearer !== null || !anyone) throttle.check(guesser);
    const found = await this.#identify(request, bearer);
    const note = (outcome: 'allowed' | 'refused', actor: string) =>
      uses.note({ actor, method: request.method, route, outcome, address });
    if (bearer !== null && found.principal === null) {
      throttle.wrong(guesser);
      await note('refused', 'unknown');
      throw new FacedError('http.unauthorized', 'this token is not known, or its time is over', {
        fix: 'make one: faced token create --scope recognize',
      });
    }
    const { principal } = found;
    if (bearer !== null) throttle.right(guesser);
    if (anyone) return { ...arrival, ...found };
    if (principal === null)
      throw new FacedError('http.unauthorized', 'this needs a token, or somebody who is signed in', {
        fix: 'send Authorization: Bearer TOKEN; faced token create makes one',
      });
    const scope = wanted === 'local' ? 'read' : wanted;
    const allowed = scope === 'signed-in' ? found.account !== null : mayDo(principal.scopes, scope);
    if (!allowed) {
      await note('refused', principal.actor);
      throw new FacedError(
        'http.forbidden',
        scope === 'signed-in' ? 'this needs somebody who is signed in' : `this needs the scope ${scope}`,
      );
    }
    await note('allowed', principal.actor);
    return { ...arrival, ...found };
  }

  /** A token counts before a session: whoever sends one means it. */
  async #identify(
    request: FastifyRequest,
    bearer: string | null,
  ): Promise<Pick<Visitor, 'principal' | 'account' | 'session'>> {
    const nobody = { principal: null, account: null, session: null };
    const { access } = this.#parts;
    if (bearer !== null) return { ...nobody, principal: await access.byToken(bearer) };
    const session = cookieOf(request.headers.cookie);
    const found = session === null ? null : await access.bySession(session);
    if (session === null || found === null) return nobody;
    if (!SAFE_METHODS.has(request.method) && !sameText(single(request.headers[CSRF_HEADER]), csrfOf(session)))
      throw new FacedError('http.cross-site', 'the request does not carry this session’s CSRF token', {
        fix: `GET /v1/session tells it; send it as ${CSRF_HEADER}`,
      });
    const { account, ...principal } = found;
    return { principal, account, session };
  }
}

function bearerOf(header: string | undefined): string | null {
  const match = /^Bearer +(\S+)$/i.exec(header ?? '');
  return match?.[1] ?? null;
}

function cookieOf(header: string | undefined): string | null {
  const cookies = (header ?? '').split(';').map((one) => one.trim());
  for (const name of [SECURE_COOKIE, SESSION_COOKIE]) {
    const found = cookies.find((one) => one.startsWith(`${name}=`));
    if (found !== undefined) return found.slice(name.length + 1);
  }
  return null;
}

function sameText(given: string | undefined, wanted: string): boolean {
  const [a, b] = [Buffer.from(given ?? ''), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}
