import type { Session } from './types.js';

/** A request that was refused, or had no answer. `code` is stable; the message and the mend are the daemon's own words. */
export class Refusal extends Error {
  readonly code: string;
  readonly fix: string | null;
  /** Seconds after which trying again makes sense. */
  readonly retryAfter: number | null;

  constructor(
    code: string,
    message: string,
    about: { fix?: string | undefined; retryAfter?: number | null } = {},
  ) {
    super(message);
    this.code = code;
    this.fix = about.fix ?? null;
    this.retryAfter = about.retryAfter ?? null;
  }
}

let csrf: string | null = null;
let onSignedOut: () => void = () => {};

/** Called when the daemon does not know the session any more. */
export function whenSignedOut(listener: () => void): void {
  onSignedOut = listener;
}

export function signedIn(session: Session): Session {
  csrf = session.csrf;
  return session;
}

export interface Request {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** JSON. */
  readonly body?: object;
  /** A form with pictures, or a file as it is. */
  readonly raw?: FormData | Blob;
  readonly type?: string;
  readonly signal?: AbortSignal;
}

/** The answer of the API; throws a {@link Refusal}. */
export async function ask<Answer>(path: string, request: Request = {}): Promise<Answer> {
  const response = await send(path, request);
  return (await response.json()) as Answer;
}

/** Server-sent events in the answer to a POST, one after the other. */
export async function* stream(
  path: string,
  request: Request,
): AsyncGenerator<{ name: string; data: unknown }> {
  const { body } = await send(path, request);
  if (body === null) return;
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const parts = text.split('\n\n');
    text = parts.pop() ?? '';
    for (const part of parts) {
      const name = /^event: (.*)$/m.exec(part)?.[1];
      const data = /^data: (.*)$/m.exec(part)?.[1];
      if (name !== undefined && data !== undefined) yield { name, data: JSON.parse(data) as unknown };
    }
  }
}

async function send(path: string, { method = 'GET', body, raw, type, signal }: Request): Promise<Response> {
  const headers: Record<string, string> = {};
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (type !== undefined) headers['content-type'] = type;
  if (method !== 'GET' && csrf !== null) headers['x-csrf-token'] = csrf;
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? (raw ?? null) : JSON.stringify(body),
      signal: signal ?? null,
    });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    throw new Refusal('page.no-answer', 'no answer');
  }
  if (response.ok) return response;
  const refusal = await refused(response);
  if (response.status === 401 && path !== '/v1/session' && path !== '/v1/accounts/first') onSignedOut();
  throw refusal;
}

async function refused(response: Response): Promise<Refusal> {
  const after = Number(response.headers.get('retry-after'));
  const retryAfter = Number.isFinite(after) && after > 0 ? after : null;
  try {
    const { error } = (await response.json()) as { error: { code: string; message: string; fix?: string } };
    return new Refusal(error.code, error.message, { fix: error.fix, retryAfter });
  } catch {
    return new Refusal('page.no-answer', `status ${response.status}`, { retryAfter });
  }
}
