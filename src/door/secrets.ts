import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { FacedError } from '../domain/errors.js';

/** How somebody shows who they are without their face. */
export type CredentialMethod = 'code' | 'badge' | 'qr';

/** A secret of one person as it is stored: never the secret itself. */
export interface StoredCredential {
  readonly id: string;
  readonly person: string;
  readonly method: CredentialMethod;
  /** scrypt of the secret under the salt of the book, hex. */
  readonly digest: string;
}

/**
 * Credentials of one house. A code names its person, so a try has to be compared with every stored one. All share one
 * random salt: a try then costs a single scrypt (some 50 ms on a Pi) however many people there are, where a salt for
 * each would make a keypad wait seconds and hand an attacker a way to keep the processor busy. What this gives away is
 * whether two people have the same secret, and {@link SecretBook.add} refuses that anyway.
 */
export interface CredentialBook {
  /** 32 random bytes, hex. */
  readonly salt: string;
  readonly credentials: readonly StoredCredential[];
}

const DIGEST_BYTES = 32;
/** RFC 7914: 32 MiB and about 50 ms on a Cortex-A72. */
const COST: ScryptOptions = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };
/** Shortest secrets; a code of 4 digits has only 10,000 values, which the throttle for guesses is there for. */
const SHORTEST: Readonly<Record<CredentialMethod, number>> = { code: 4, badge: 6, qr: 16 };
const LONGEST = 256;
const MOST = 10_000;

const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt);

export function emptyBook(): CredentialBook {
  return { salt: randomBytes(32).toString('hex'), credentials: [] };
}

/** Secrets in a book: adding, removing, and finding out whom one names. Immutable books; this class holds the current one. */
export class SecretBook {
  #book: CredentialBook;

  constructor(book: CredentialBook) {
    this.#book = book;
  }

  get book(): CredentialBook {
    return this.#book;
  }

  /** @throws FacedError `door.secret-refused` when it is too short, too long, or taken */
  async add(entry: {
    id: string;
    person: string;
    method: CredentialMethod;
    secret: string;
  }): Promise<StoredCredential> {
    const { id, person, method, secret } = entry;
    if (secret.length < SHORTEST[method] || secret.length > LONGEST) {
      throw new FacedError(
        'door.secret-refused',
        `a ${method} has ${SHORTEST[method]} to ${LONGEST} characters (this one has ${secret.length})`,
      );
    }
    if (this.#book.credentials.length >= MOST) {
      throw new FacedError('door.secret-refused', `there are ${MOST} credentials already`);
    }
    const digest = await this.#digest(method, secret);
    // Nothing is awaited from here on, so that two people cannot be given the same secret at the same moment.
    if (this.#ownerOf(method, digest) !== null) {
      throw new FacedError('door.secret-refused', `this ${method} cannot be used`, {
        fix: 'choose another one',
      });
    }
    const stored = { id, person, method, digest: digest.toString('hex') };
    this.#book = { ...this.#book, credentials: [...this.#book.credentials, stored] };
    return stored;
  }

  removePerson(person: string): void {
    this.#keep((one) => one.person !== person);
  }

  remove(id: string): void {
    this.#keep((one) => one.id !== id);
  }

  #keep(isKept: (one: StoredCredential) => boolean): void {
    this.#book = { ...this.#book, credentials: this.#book.credentials.filter(isKept) };
  }

  /**
   * Whose secret this is, or null. Every stored digest of the method is compared, each in constant time, whether or not
   * one has fitted already: the time tells neither how near a guess was nor whose it was.
   */
  async personOf(method: CredentialMethod, secret: string): Promise<string | null> {
    if (secret.length > LONGEST) return null;
    return this.#ownerOf(method, await this.#digest(method, secret));
  }

  #ownerOf(method: CredentialMethod, given: Buffer): string | null {
    let person: string | null = null;
    for (const stored of this.#book.credentials) {
      if (stored.method !== method) continue;
      const digest = Buffer.from(stored.digest, 'hex');
      const fits = digest.length === DIGEST_BYTES && timingSafeEqual(digest, given);
      person = fits ? stored.person : person;
    }
    return person;
  }

  /** The method is part of what is hashed: a badge's number typed in as a code is not the same secret. */
  #digest(method: CredentialMethod, secret: string): Promise<Buffer> {
    return derive(
      `${method}\0${secret.normalize('NFKC')}`,
      Buffer.from(this.#book.salt, 'hex'),
      DIGEST_BYTES,
      COST,
    );
  }
}
