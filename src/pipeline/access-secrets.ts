import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { FacedError } from '../domain/errors.js';

/** The code that the first account needs, as it is kept. */
export interface CodeRecord {
  readonly hash: string;
  readonly until: number;
  readonly tries: number;
}

/** Crockford's base 32, of which no two letters look alike. */
const CODE_LETTERS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const CODE_LENGTH = 8;
const SHORTEST_PASSWORD = 10;
export const LONGEST_PASSWORD = 200;

/** SHA-256 is enough for what has 256 random bits, and for a code that is good for minutes and five tries. */
export function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

export function same(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

export function newCode(): string {
  const letters = [...randomBytes(CODE_LENGTH)].map((byte) => CODE_LETTERS[byte % CODE_LETTERS.length]);
  return `${letters.slice(0, 4).join('')}-${letters.slice(4).join('')}`;
}

/** As typed by people: small letters, spaces, O for 0, I and L for 1. */
export function plainCode(given: string): string {
  return given.slice(0, 40).toUpperCase().replace(/[\s-]/g, '').replaceAll('O', '0').replace(/[IL]/g, '1');
}

export function asCode(code: string | null, until: number | null): CodeRecord | null {
  return code === null || until === null ? null : { hash: hashOf(plainCode(code)), until, tries: 0 };
}

export function checkName(name: string): string {
  const normal = name.normalize('NFC').trim();
  if (normal.length >= 1 && normal.length <= 60) return normal;
  throw new FacedError('http.invalid', 'a name has 1 to 60 characters');
}

/** Length is what counts (NIST SP 800-63B, 5.1.1.2); what an attacker gains by guessing online is bounded by the lock. */
export function checkPassword(password: string): void {
  if (password.length >= SHORTEST_PASSWORD && password.length <= LONGEST_PASSWORD) return;
  throw new FacedError(
    'http.invalid',
    `a password has ${SHORTEST_PASSWORD} to ${LONGEST_PASSWORD} characters`,
    { fix: 'take a few words that nobody else would put together' },
  );
}
