import { isIP } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { FacedError } from '../domain/errors.js';

export interface OriginOptions {
  /** Names beside the machine's own. */
  readonly names: readonly string[];
}

/** What is known of a request before anybody looks at its content. */
export interface Arrival {
  readonly method: string;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  readonly fetchSite: string | undefined;
  readonly fetchMode: string | undefined;
  readonly fetchDest: string | undefined;
  /** The address that the connection came in on. */
  readonly localAddress: string;
  readonly secure: boolean;
}

/**
 * Refuses what another site makes a browser ask for. The Host has to be this machine: a name that somebody pointed at
 * it (DNS rebinding) is not. An Origin has to be the one that the Host says; browsers that tell where a request comes
 * from are believed, and only a person who follows a link may come from elsewhere.
 */
export class OriginCheck {
  readonly #names: ReadonlySet<string>;

  constructor({ names }: OriginOptions) {
    const own = hostname().toLowerCase();
    const short = own.split('.')[0] ?? own;
    this.#names = new Set([own, short, `${short}.local`, ...names.map((name) => name.toLowerCase())]);
  }

  check(arrival: Arrival): void {
    const { host, origin, fetchSite } = arrival;
    const name = nameOf(host);
    if (name === null || !this.#isOurs(name, arrival.localAddress))
      throw new FacedError('http.cross-site', 'the Host of this request is not this machine', {
        fix: 'use its address, or name it in http.names of the configuration',
      });
    if (origin !== undefined && !sameOrigin(origin, host ?? '', arrival.secure)) throw crossSite();
    if (fetchSite !== undefined && !['same-origin', 'none'].includes(fetchSite) && !followsALink(arrival))
      throw crossSite();
  }

  #isOurs(name: string, localAddress: string): boolean {
    if (LOOPBACK_NAMES.has(name)) return isLoopback(localAddress);
    // An address cannot be pointed elsewhere: the page that uses it was loaded from it.
    if (isIP(name) !== 0) return sameAddress(name, localAddress) || isOwnAddress(name);
    return this.#names.has(name);
  }
}

const LOOPBACK_NAMES = new Set(['localhost', '127.0.0.1', '::1']);

export function isLoopback(address: string): boolean {
  const plain = plainAddress(address);
  return plain === '::1' || plain.startsWith('127.');
}

/** Without the form in which IPv6 writes an IPv4 address, and without a zone. */
export function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/, '').replace(/%.*$/, '');
}

function isOwnAddress(name: string): boolean {
  return Object.values(networkInterfaces()).some((one) =>
    (one ?? []).some(({ address }) => sameAddress(address, name)),
  );
}

function sameAddress(a: string, b: string): boolean {
  return plainAddress(a) === plainAddress(b);
}

/** The name or address in a Host header, without the port; null when it is none. */
function nameOf(host: string | undefined): string | null {
  if (host === undefined || host.length > 300) return null;
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(host);
  return (match?.[1] ?? match?.[2] ?? null)?.toLowerCase() ?? null;
}

function sameOrigin(origin: string, host: string, secure: boolean): boolean {
  return origin.toLowerCase() === `${secure ? 'https' : 'http'}://${host.toLowerCase()}`;
}

/** To a page, in a window of its own: what it shows is seen by the person alone. */
function followsALink({ method, fetchMode, fetchDest }: Arrival): boolean {
  return method === 'GET' && fetchMode === 'navigate' && fetchDest === 'document';
}

function crossSite(): FacedError {
  return new FacedError('http.cross-site', 'requests from other sites are refused');
}
