import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { FacedError } from '../domain/errors.js';
import { writeFileAtomic } from '../lib/atomic-file.js';
import { bits, explicit, implicit, integer, octets, oid, sequence, set, time, utf8, yes } from './der.js';
import { homeAddresses } from './network.js';

/** PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

const DAY_MS = 86_400_000;
/** What browsers accept of a certificate that somebody trusted by hand. */
const VALID_DAYS = 800;
const RENEW_DAYS = 30;

/** The certificate from the owner's files. Throws `http.certificate-unusable`. */
export async function givenCertificate(files: { certFile: string; keyFile: string }): Promise<Certificate> {
  try {
    const [cert, key] = [await readFile(files.certFile, 'utf8'), await readFile(files.keyFile, 'utf8')];
    if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)))
      throw new Error('the key is not that of the certificate');
    return { cert, key };
  } catch (cause) {
    throw new FacedError(
      'http.certificate-unusable',
      `the certificate of http.cert and http.key cannot be used: ${cause instanceof Error ? cause.message : cause}`,
      { fix: 'give a certificate and its key as PEM files that faced may read', cause },
    );
  }
}

/** The certificate that faced made itself, from its state directory; made, or made anew before it ends. */
export async function ownCertificate(stateDir: string, now = new Date()): Promise<Certificate> {
  const [certFile, keyFile] = [join(stateDir, 'http-cert.pem'), join(stateDir, 'http-key.pem')];
  const found = await givenCertificate({ certFile, keyFile }).catch(() => null);
  if (found !== null) {
    const until = Date.parse(new X509Certificate(found.cert).validTo);
    if (until - now.getTime() > RENEW_DAYS * DAY_MS) return found;
  }
  const made = selfSigned({ names: ownNames(), addresses: homeAddresses(), now });
  await writeFileAtomic(keyFile, made.key, 0o600);
  await writeFileAtomic(certFile, made.cert, 0o644);
  return made;
}

/** As browsers show it: SHA-256 over the certificate, in pairs. */
export function fingerprintOf({ cert }: Pick<Certificate, 'cert'>): string {
  return new X509Certificate(cert).fingerprint256;
}

function ownNames(): string[] {
  const short = (hostname().split('.')[0] ?? 'faced').toLowerCase();
  return [...new Set([short, `${short}.local`, 'localhost'])].filter((name) => /^[a-z0-9.-]+$/.test(name));
}

const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));

/** X.509 version 3 (RFC 5280) over a P-256 key, signed by itself: it shows no more than that the machine is the same as before. */
export function selfSigned(about: {
  names: readonly string[];
  addresses: readonly string[];
  now: Date;
}): Certificate {
  const { names, addresses, now } = about;
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = pair.publicKey.export({ type: 'spki', format: 'der' });
  const name = sequence(set(sequence(oid('2.5.4.3'), utf8(names[0] ?? 'faced'))));
  const from = new Date(now.getTime() - DAY_MS);
  const until = new Date(now.getTime() + VALID_DAYS * DAY_MS);
  const tbs = sequence(
    explicit(0, integer(Buffer.of(2))),
    integer(randomBytes(16)),
    ECDSA_SHA256,
    name,
    sequence(time(from), time(until)),
    name,
    spki,
    explicit(3, sequence(...extensions(names, addresses, spki))),
  );
  const signature = sign('sha256', tbs, pair.privateKey);
  return {
    cert: pem('CERTIFICATE', sequence(tbs, ECDSA_SHA256, bits(signature))),
    key: keyPem(pair.privateKey),
  };
}

function extensions(names: readonly string[], addresses: readonly string[], spki: Buffer): Buffer[] {
  const critical = (id: string, value: Buffer) => sequence(oid(id), yes(), octets(value));
  const plain = (id: string, value: Buffer) => sequence(oid(id), octets(value));
  const hosts = [
    ...names.map((name) => implicit(2, Buffer.from(name, 'ascii'))),
    ...addresses.map((address) => implicit(7, addressBytes(address))),
  ];
  return [
    critical('2.5.29.19', sequence()), // basicConstraints: no authority
    critical('2.5.29.15', bits(Buffer.of(0x80), 7)), // keyUsage: digitalSignature
    plain('2.5.29.37', sequence(oid('1.3.6.1.5.5.7.3.1'))), // extKeyUsage: serverAuth
    plain('2.5.29.14', octets(createHash('sha1').update(spki).digest())), // subjectKeyIdentifier
    plain('2.5.29.17', sequence(...hosts)), // subjectAltName
  ];
}

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = address.split('::');
  const words = (part: string) => part.split(':').filter((word) => word !== '');
  const before = words(head);
  const after = words(tail ?? '');
  const middle = Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0');
  const all = [...before, ...middle, ...after].map((word) => Number.parseInt(word, 16));
  return Buffer.from(all.flatMap((word) => [word >> 8, word & 0xff]));
}

function keyPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
