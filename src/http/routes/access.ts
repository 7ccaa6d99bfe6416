import { Type } from '@sinclair/typebox';
import type { FastifyReply } from 'fastify';
import { SCOPES } from '../../domain/access.js';
import { FacedError } from '../../domain/errors.js';
import type { SignedIn } from '../../pipeline/access.js';
import type { Context } from '../context.js';
import { csrfOf, type Gatekeeper, SECURE_COOKIE, SESSION_COOKIE } from '../gatekeeper.js';
import { type Asked, type Route, route } from '../route.js';
import { DONE, Done, Id, object, orNull, ScopeForm } from '../schemas.js';

const Account = object({ id: Id, name: Type.String(), createdAt: Type.Integer() });
const Password = Type.String({ minLength: 1, maxLength: 200 });
const AccountName = Type.String({ minLength: 1, maxLength: 60 });
const Token = {
  id: Id,
  label: Type.String(),
  scopes: Type.Array(ScopeForm),
  createdAt: Type.Integer({ description: 'Milliseconds since 1970.' }),
  until: orNull(Type.Integer({ description: 'Milliseconds since 1970; null: without an end.' })),
} as const;
const Session = object({
  account: orNull(Account),
  csrf: orNull(
    Type.String({ description: 'To be sent as x-csrf-token with everything that changes something.' }),
  ),
  firstStart: Type.Boolean({
    description: 'There is no account yet: the code of faced http open makes the first.',
  }),
});
const SESSION_S = 30 * 24 * 60 * 60;

/** Accounts, sessions and tokens. */
export function accessRoutes({ access }: Context, gatekeeper: Gatekeeper): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/session',
      tag: 'access',
      summary: 'Who is signed in, and what a page needs to know about it',
      who: 'anyone',
      answer: Session,
      handle: async ({ account, request }) => {
        const session = account === null ? null : gatekeeper.sessionOf(request);
        return {
          account,
          csrf: session === null ? null : csrfOf(session),
          firstStart: (await access.accounts()).length === 0,
        };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/session',
      tag: 'access',
      summary: 'Sign in',
      description: 'Wrong tries make the next one wait, for the name and for the address they come from.',
      who: 'anyone',
      body: object({ name: AccountName, password: Password }),
      answer: Session,
      handle: (asked) =>
        gatekeeper.guarded(asked.request, async () => begun(asked, await access.signIn(asked.body))),
    }),
    route({
      method: 'DELETE',
      path: '/v1/session',
      tag: 'access',
      summary: 'Sign out',
      who: 'signed-in',
      answer: Done,
      handle: async ({ request, reply }) => {
        const session = gatekeeper.sessionOf(request);
        if (session !== null) await access.signOut(session);
        for (const name of [SESSION_COOKIE, SECURE_COOKIE])
          reply.header('set-cookie', cookie(name, '', { secure: name === SECURE_COOKIE, seconds: 0 }));
        return DONE;
      },
    }),
    route({
      method: 'POST',
      path: '/v1/accounts/first',
      tag: 'access',
      summary: 'Make the first account, with the code that the console shows',
      who: 'anyone',
      body: object({
        name: AccountName,
        password: Password,
        code: Type.String({ minLength: 1, maxLength: 40 }),
      }),
      answer: Session,
      handle: (asked) =>
        gatekeeper.guarded(asked.request, async () =>
          begun(asked, await access.createFirstAccount(asked.body)),
        ),
    }),
    route({
      method: 'GET',
      path: '/v1/accounts',
      tag: 'access',
      summary: 'Everybody who can sign in',
      who: 'admin',
      answer: object({ accounts: Type.Array(Account) }),
      handle: async () => ({ accounts: await access.accounts() }),
    }),
    route({
      method: 'POST',
      path: '/v1/accounts',
      tag: 'access',
      summary: 'Make another account',
      who: 'signed-in',
      body: object({ name: AccountName, password: Password }),
      answer: Account,
      handle: ({ body, actor }) => access.createAccount({ ...body, actor }),
    }),
    route({
      method: 'DELETE',
      path: '/v1/accounts/{account}',
      tag: 'access',
      summary: 'Remove an account; the last one stays',
      who: 'signed-in',
      params: object({ account: Id }),
      answer: Done,
      handle: async ({ params, actor }) => {
        await access.removeAccount({ id: params.account, actor });
        return DONE;
      },
    }),
    route({
      method: 'GET',
      path: '/v1/tokens',
      tag: 'access',
      summary: 'The tokens, without their secrets',
      who: 'admin',
      answer: object({ tokens: Type.Array(object(Token)) }),
      handle: async () => ({ tokens: await access.tokens() }),
    }),
    route({
      method: 'POST',
      path: '/v1/tokens',
      tag: 'access',
      summary: 'Make a token; its secret is in this answer and nowhere else',
      who: 'signed-in',
      body: object({
        scopes: Type.Array(ScopeForm, { minItems: 1, maxItems: SCOPES.length }),
        label: Type.Optional(Type.String({ maxLength: 100 })),
        days: Type.Optional(orNull(Type.Integer({ minimum: 1, maximum: 3650 }))),
      }),
      answer: object({ ...Token, token: Type.String() }),
      handle: ({ body: { scopes, label, days }, actor }) =>
        access.createToken({ scopes, label: label ?? '', days: days ?? null, actor }),
    }),
    route({
      method: 'DELETE',
      path: '/v1/tokens/{token}',
      tag: 'access',
      summary: 'Revoke a token',
      who: 'admin',
      params: object({ token: Id }),
      answer: Done,
      handle: async ({ params, actor }) => {
        await access.revokeToken({ id: params.token, actor });
        return DONE;
      },
    }),
  ];

  function begun({ request, reply }: Asked<unknown, unknown, unknown>, { account, session }: SignedIn) {
    const { secure, local } = gatekeeper.visitor(request);
    // In clear over a network a session could be read along the way.
    if (!secure && !local)
      throw new FacedError('http.forbidden', 'signing in needs TLS, but for this machine itself');
    setCookie(reply, session, secure);
    return { account, csrf: csrfOf(session), firstStart: false };
  }
}

function setCookie(reply: FastifyReply, value: string, secure: boolean): void {
  const name = secure ? SECURE_COOKIE : SESSION_COOKIE;
  reply.header('set-cookie', cookie(name, value, { secure, seconds: SESSION_S }));
}

function cookie(name: string, value: string, about: { secure: boolean; seconds: number }): string {
  const parts = [`${name}=${value}`, 'Path=/', 'HttpOnly', 'SameSite=Strict', `Max-Age=${about.seconds}`];
  return [...parts, ...(about.secure ? ['Secure'] : [])].join('; ');
}
