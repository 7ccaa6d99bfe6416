import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { connect as connectTcp, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls';
import { FacedError } from '../domain/errors.js';

export interface EndpointOptions {
  /** `mqtt://host[:port]` or `mqtts://host[:port]`; a user name and password in it are used and never logged. */
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
  /** A file whose first line is the password. */
  readonly passwordFile?: string;
  /** PEM files. Only with `mqtts://`; without `caFile` the certificates that Node trusts count. */
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
}

/** A broker's address with all that its files hold at this moment. */
export interface Endpoint {
  /** For logs: scheme, host and port only. */
  readonly label: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** A password would cross a network in clear. */
  readonly passwordInClear: boolean;
  /** A new connection; TLS for `mqtts://`, verified, and nothing else. */
  open(): Duplex;
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/;

/** Scheme, host and port of a broker's URL: what may stand in a log. */
export function labelOf(text: string): string {
  const url = parse(text);
  return `${url.protocol}//${url.hostname}:${portOf(url)}`;
}

/**
 * Reads the files anew each time, so that a certificate that was renewed is used at the next connection.
 * @throws FacedError `config.invalid` or `config.unreadable`; the message never holds a credential.
 */
export async function readEndpoint(options: EndpointOptions): Promise<Endpoint> {
  const url = parse(options.url);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = portOf(url);
  const secure = url.protocol === 'mqtts:';
  checkFiles(options, secure);
  const password = await passwordOf(options, url);
  const [ca, cert, key] = await Promise.all([
    read(options.caFile, 'mqtt.ca'),
    read(options.certFile, 'mqtt.cert'),
    read(options.keyFile, 'mqtt.key'),
  ]);
  const secureContext = secure
    ? secureContextOf({ ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) })
    : undefined;
  return {
    label: labelOf(options.url),
    username: options.username ?? (url.username === '' ? undefined : decodeURIComponent(url.username)),
    password,
    passwordInClear: !secure && password !== undefined && !LOOPBACK.test(host),
    open: () =>
      secure
        ? connectTls({
            host,
            port,
            rejectUnauthorized: true,
            // RFC 6066, 3: no server name indication for a bare address.
            ...(isIP(host) ? {} : { servername: host }),
            secureContext,
          })
        : connectTcp({ host, port, noDelay: true }),
  };
}

/** The library's own text is left out: it may quote a key. */
function secureContextOf(files: { ca?: Buffer; cert?: Buffer; key?: Buffer }): SecureContext {
  try {
    if (files.ca !== undefined) new X509Certificate(files.ca);
    return createSecureContext({ minVersion: 'TLSv1.2', ...files });
  } catch {
    throw new FacedError(
      'config.invalid',
      'mqtt.ca, mqtt.cert or mqtt.key is not PEM, or key and certificate differ.',
      {
        fix: 'Check the files with: openssl x509 -in FILE -noout -text',
      },
    );
  }
}

function parse(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const usable =
    url !== undefined && url.hostname !== '' && (url.protocol === 'mqtt:' || url.protocol === 'mqtts:');
  if (usable) return url;
  throw new FacedError('config.invalid', 'mqtt.url is not a broker address that faced knows.', {
    fix: 'Write mqtt://host:1883 or mqtts://host:8883.',
  });
}

function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'mqtts:' ? 8883 : 1883;
}

function checkFiles(options: EndpointOptions, secure: boolean): void {
  const { caFile, certFile, keyFile } = options;
  const fail = (message: string, fix: string) => {
    throw new FacedError('config.invalid', message, { fix });
  };
  if (!secure && (caFile ?? certFile ?? keyFile) !== undefined)
    fail('Certificates are set, but mqtt.url is not encrypted.', 'Write mqtts:// instead of mqtt://.');
  if ((certFile === undefined) !== (keyFile === undefined))
    fail('mqtt.cert and mqtt.key belong together.', 'Set both or neither.');
}

async function passwordOf(options: EndpointOptions, url: URL): Promise<string | undefined> {
  if (options.password !== undefined) return options.password;
  const file = await read(options.passwordFile, 'mqtt.passwordFile');
  if (file !== undefined) return file.toString('utf8').split(/\r?\n/, 1)[0];
  return url.password === '' ? undefined : decodeURIComponent(url.password);
}

async function read(path: string | undefined, setting: string): Promise<Buffer | undefined> {
  if (path === undefined) return undefined;
  return readFile(path).catch((cause: unknown) => {
    throw new FacedError('config.unreadable', `${setting}: ${path} cannot be read.`, {
      fix: 'Check the path, and that the user that faced runs as may read it.',
      cause,
    });
  });
}
