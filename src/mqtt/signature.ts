import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { FacedError } from '../domain/errors.js';
import type { RecognitionEvent } from '../domain/event.js';

/**
 * The signed bytes are the payload itself without its last member: `{"v":1,…,"sig":"…"}` was signed as `{"v":1,…}`.
 * So a verifier needs no canonical JSON, whose number forms differ from language to language; it needs the bytes as they came.
 */
const SIGNATURE_AT_END = /,"sig":"([A-Za-z0-9_-]{86})"\}$/;

/** Makes the payload of a recognition event. */
export interface EventEncoder {
  /** JSON text; with `sig` as its last member when there is a key. */
  encode(event: RecognitionEvent): string;
  /** For those who verify (PEM, SPKI); null without a key. */
  readonly publicKey: string | null;
}

/**
 * @param keyFile Ed25519 private key, PEM (PKCS 8); without it events are not signed.
 * @throws FacedError `config.unreadable` or `config.invalid`.
 */
export async function createEventEncoder(keyFile?: string): Promise<EventEncoder> {
  if (keyFile === undefined) return { encode: (event) => JSON.stringify(event), publicKey: null };
  const key = await readKey(keyFile);
  return {
    encode: (event) => signPayload(JSON.stringify(event), key),
    publicKey: createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString(),
  };
}

/** @param payload JSON text of an object with at least one member and no `sig`. */
export function signPayload(payload: string, key: KeyObject): string {
  const signature = sign(null, Buffer.from(payload, 'utf8'), key).toString('base64url');
  return `${payload.slice(0, -1)},"sig":"${signature}"}`;
}

/** True when the payload, exactly as it came from the broker, was signed by the key's owner. */
export function verifyPayload(payload: string, publicKey: KeyObject | string): boolean {
  const found = SIGNATURE_AT_END.exec(payload);
  if (found === null) return false;
  const signed = `${payload.slice(0, found.index)}}`;
  return verify(null, Buffer.from(signed, 'utf8'), publicKey, Buffer.from(found[1] ?? '', 'base64url'));
}

async function readKey(path: string): Promise<KeyObject> {
  const fix = 'Make one with: openssl genpkey -algorithm ed25519 -out FILE';
  const pem = await readFile(path).catch((cause: unknown) => {
    throw new FacedError('config.unreadable', `The signing key ${path} cannot be read.`, { fix, cause });
  });
  const key = parseKey(pem);
  if (key?.asymmetricKeyType === 'ed25519') return key;
  throw new FacedError('config.invalid', `${path} is not an Ed25519 private key in PEM form.`, { fix });
}

function parseKey(pem: Buffer): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    // The parser's message may quote the file; that it is no key is all there is to say.
    return undefined;
  }
}
