import type { Static, TObject, TSchema, TUndefined } from '@sinclair/typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Principal, Scope } from '../domain/access.js';
import type { AccountInfo } from '../pipeline/access.js';

/**
 * Who may ask: a scope; `signed-in`: a person with a session, whatever the scope; `anyone`; `local`: anyone on this
 * machine itself, beyond it the scope `read`.
 */
export type Who = Scope | 'signed-in' | 'anyone' | 'local';

/** A request that passed every check. */
export interface Asked<P, Q, B> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  /** Pictures in the order in which they came; empty on a route that takes none. */
  readonly pictures: readonly Uint8Array[];
  readonly principal: Principal | null;
  /** Set when a person is signed in, whether or not a token was used. */
  readonly account: AccountInfo | null;
  /** As the audit names who asked: `http:token:…`, `http:account:…` or `http`. */
  readonly actor: string;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** How many pictures a request brings: raw, in a multipart form, or as base64 in JSON. */
export interface Pictures {
  readonly least: number;
  readonly most: number;
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** OpenAPI's form: `/v1/people/{person}`. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly who: Who;
  readonly params?: TObject;
  readonly query?: TObject;
  /** JSON. On a route with pictures: the other fields of the form. */
  readonly body?: TSchema;
  readonly pictures?: Pictures;
  /** Bytes that the body may have; default 64 KiB. Pictures have a limit of their own. */
  readonly bodyLimit?: number;
  /** What a 200 carries: a schema for JSON, else a media type. */
  readonly answer: TSchema | string;
  /** Bodies that are taken as they come, unread: a media type. The handler reads `request.raw`. */
  readonly stream?: string;
  handle(asked: Asked<unknown, unknown, unknown>): unknown;
}

type Part<S extends TSchema> = Static<S>;

/** A route whose handler sees what its schemas say. */
export function route<
  P extends TSchema = TUndefined,
  Q extends TSchema = TUndefined,
  B extends TSchema = TUndefined,
>(
  shape: Omit<Route, 'handle' | 'params' | 'query' | 'body'> & {
    readonly params?: P;
    readonly query?: Q;
    readonly body?: B;
    handle(asked: Asked<Part<P>, Part<Q>, Part<B>>): unknown;
  },
): Route {
  return shape as unknown as Route;
}
