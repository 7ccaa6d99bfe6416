import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { FacedError } from '../domain/errors.js';

/** scrypt (RFC 7914). Salt and hash in hexadecimal; the costs stand with them, so that they can be raised later. */
export interface PasswordHash {
  readonly salt: string;
  readonly hash: string;
  readonly cost: number;
  readonly blockSize: number;
  readonly parallel: number;
}

/** 16 MB for each try: as costly as OWASP asks for (N=2^14, r=8, p=5), and what a small board can lend. */
const COSTS = { cost: 2 ** 14, blockSize: 8, parallel: 5 };
const BYTES = 32;
/** Tries that may wait for the one that is running. */
const MAX_WAITING = 8;

let last: Promise<unknown> = Promise.resolve();
let waiting = 0;

/** One at a time, so that tries cannot be used to take the machine's memory and cores. */
async function derive(password: string, salt: Buffer, costs: typeof COSTS): Promise<Buffer> {
  if (waiting >= MAX_WAITING)
    throw new FacedError('busy', 'too many people are signing in at once', { fix: 'Try again in a moment.' });
  waiting++;
  const work = last.then(
    () =>
      new Promise<Buffer>((resolve, reject) => {
        const { cost, blockSize, parallel } = costs;
        const options = { cost, blockSize, parallelization: parallel, maxmem: 64 * 2 ** 20 };
        scrypt(password.normalize('NFC'), salt, BYTES, options, (error, key) =>
          error === null ? resolve(key) : reject(error),
        );
      }),
  );
  last = work.catch(() => undefined);
  return work.finally(() => {
    waiting--;
  });
}

export async function hashPassword(password: string): Promise<PasswordHash> {
  const salt = randomBytes(16);
  const hash = await derive(password, salt, COSTS);
  return { salt: salt.toString('hex'), hash: hash.toString('hex'), ...COSTS };
}

/** Takes as long without a hash to compare with (an account that does not exist) as with one. */
export async function verifyPassword(password: string, against: PasswordHash | undefined): Promise<boolean> {
  if (against === undefined) {
    await derive(password, Buffer.alloc(16), COSTS);
    return false;
  }
  const { salt, hash, cost, blockSize, parallel } = against;
  const found = await derive(password, Buffer.from(salt, 'hex'), { cost, blockSize, parallel });
  return timingSafeEqual(found, Buffer.from(hash, 'hex'));
}
