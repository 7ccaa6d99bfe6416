import type { IncomingMessage } from 'node:http';
import { FacedError } from '../domain/errors.js';
import { isLoopback, OriginCheck, plainAddress } from './origin.js';

export interface ArrivalOptions {
  /** Names beside the machine's own under which it is reached. */
  readonly names: readonly string[];
  /** Addresses of proxies whose word on where a request comes from counts. */
  readonly trustedProxies: readonly string[];
}

/** Where a request comes from. */
export interface Arrived {
  /** The address that they come from, as far as a trusted proxy's word counts. */
  readonly address: string;
  /** On this machine itself, and not through a proxy. */
  readonly local: boolean;
  /** TLS, here or at a trusted proxy. */
  readonly secure: boolean;
}

/** Host, Origin and encryption: what every request is held to, whoever sends it and whatever it asks for. */
export class Arrivals {
  readonly #origin: OriginCheck;
  readonly #proxies: ReadonlySet<string>;

  constructor({ names, trustedProxies }: ArrivalOptions) {
    this.#origin = new OriginCheck({ names });
    this.#proxies = new Set(trustedProxies.map(plainAddress));
  }

  /** Throws `http.cross-site`, `http.forbidden` in clear from another machine, `http.invalid` for what is no address. */
  check({ method = '', url = '', headers, socket }: IncomingMessage): Arrived {
    // RFC 9112, 3.2: a path or a whole address; the other forms are for proxies and for OPTIONS.
    if (!/^(?:\/|https?:\/\/)/i.test(url))
      throw new FacedError('http.invalid', 'the address of the request has a form that is not served');
    const peer = plainAddress(socket.remoteAddress ?? '');
    const proxied = this.#proxies.has(peer);
    const encrypted = 'encrypted' in socket && socket.encrypted === true;
    const secure = proxied ? lastOf(headers['x-forwarded-proto']) === 'https' : encrypted;
    this.#origin.check({
      method,
      host: headers.host,
      origin: headers.origin,
      fetchSite: single(headers['sec-fetch-site']),
      fetchMode: single(headers['sec-fetch-mode']),
      fetchDest: single(headers['sec-fetch-dest']),
      localAddress: socket.localAddress ?? '',
      secure,
    });
    // A proxy on this machine brings requests of others: what reached it in clear is no better for having passed it.
    if (!secure && (proxied || !isLoopback(peer)))
      throw new FacedError('http.forbidden', 'from another machine this needs TLS: use https');
    // A proxy that nobody named must not turn the whole network into this machine.
    const forwarded = headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined;
    return {
      address: proxied ? plainAddress(lastOf(headers['x-forwarded-for']) ?? peer) : peer,
      local: isLoopback(peer) && !proxied && !forwarded,
      secure,
    };
  }
}

export function single(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : header?.[0];
}

/** What the nearest proxy added; what stands before it anybody can have written. */
function lastOf(header: string | string[] | undefined): string | undefined {
  const last = single(header)?.split(',').at(-1)?.trim();
  return last === '' ? undefined : last;
}
