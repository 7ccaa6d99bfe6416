import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { demoPortraits } from '../../src/camera/demo.js';
import { type Faced, facedIn, type Running } from '../helpers/faced.js';
import { demoPhotos } from '../helpers/models.js';

/** A daemon of the test's own with its HTTP interface, and how to ask it. */
export interface Web {
  readonly faced: Faced;
  readonly daemon: Running;
  readonly port: number;
  readonly base: string;
  /** Made before the daemon began, with the scopes of `before`. */
  readonly made: string | null;
  token(...scopes: string[]): Promise<string>;
  /** With a token's secret when one is given. */
  ask(path: string, options?: Ask): Promise<Answer>;
}

export interface Ask extends Omit<RequestInit, 'headers'> {
  readonly token?: string;
  readonly headers?: Record<string, string>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed where it is JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: what an answer holds is what the tests look at.
  readonly body: any;
  readonly text: string;
}

export async function openWeb(
  t: TestContext,
  options: { env?: NodeJS.ProcessEnv; argv?: string[]; before?: string[]; enrol?: [string, string] } = {},
): Promise<Web> {
  await demoPhotos();
  const faced = await facedIn(t, { FACED_HTTP_PORT: '0', FACED_MQTT_EMBEDDED_PORT: '0', ...options.env });
  const create = async (scopes: readonly string[]) => {
    const { code, answer, stderr } = await faced.json('token', 'create', '--scope', scopes.join(','));
    assert.equal(code, 0, stderr);
    return (answer as { token: string }).token;
  };
  const made = options.before === undefined ? null : await create(options.before);
  if (options.enrol !== undefined) assert.equal((await faced.run('enroll', ...options.enrol)).code, 0);
  const daemon = faced.spawn('run', ...(options.argv ?? []));
  await daemon.said(/the HTTP interface is open/);
  const port = Number(/http:\/\/127\.0\.0\.1:(\d+)/.exec(daemon.stderr())?.[1]);
  const base = `http://127.0.0.1:${port}`;
  return {
    ...{ faced, daemon, port, base, made },
    token: (...scopes) => create(scopes),
    ask: async (path, { token, headers, ...rest } = {}) => {
      const given = { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
      const response = await fetch(base + path, { ...rest, headers: given });
      const text = await response.text();
      const json = response.headers.get('content-type')?.startsWith('application/json') === true;
      return {
        status: response.status,
        headers: response.headers,
        body: json ? JSON.parse(text) : null,
        text,
      };
    },
  };
}

/** A portrait from the photographs of the demo, as JPEG. */
export async function portrait(name: 'Ada' | 'Bea'): Promise<Buffer> {
  const photos = await demoPhotos();
  const found = demoPortraits(join(photos[0] ?? '', '..')).find((one) => one.name === name);
  assert.ok(found);
  return Buffer.from(found.jpeg);
}

/** A photograph with several faces. */
export async function groupPhoto(): Promise<Buffer> {
  const path = (await demoPhotos()).find((one) => one.endsWith('sample6.jpg'));
  assert.ok(path);
  return readFileSync(path);
}

/** One file of a form. */
export function form(files: readonly Uint8Array[], fields: Record<string, string> = {}): FormData {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) data.append(name, value);
  for (const file of files)
    data.append('image', new Blob([Uint8Array.from(file)], { type: 'image/jpeg' }), 'picture.jpg');
  return data;
}
