import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FacedError } from '../domain/errors.js';
import { writeFilesAtomic } from '../lib/atomic-file.js';
import { Serial } from '../lib/serial.js';
import { type CredentialBook, emptyBook, SecretBook, type StoredCredential } from './secrets.js';

const FILE = 'credentials.json';

/** The book of codes, badges and QR texts in the state directory: digests only, readable for its owner alone. */
export class SecretBookFile {
  readonly #path: string;
  readonly #book: SecretBook;
  readonly #turns = new Serial();

  private constructor(path: string, book: SecretBook) {
    this.#path = path;
    this.#book = book;
  }

  /** A state directory without a book gets an empty one at the first secret. @throws FacedError `door.policy-invalid` */
  static async open(stateDir: string): Promise<SecretBookFile> {
    const path = join(stateDir, FILE);
    try {
      return new SecretBookFile(path, new SecretBook(parse(await readFile(path, 'utf8'), path)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return new SecretBookFile(path, new SecretBook(emptyBook()));
    }
  }

  readonly personOf: SecretBook['personOf'] = (method, secret) => this.#book.personOf(method, secret);

  /** `recorded` is awaited once the new file lies ready, before it takes the old one’s place; when it rejects, no code is given. */
  add(entry: Parameters<SecretBook['add']>[0], recorded?: () => Promise<void>): Promise<StoredCredential> {
    return this.#turns.run(async () => {
      const stored = await this.#book.add(entry);
      try {
        await this.#write(recorded);
      } catch (error) {
        this.#book.remove(stored.id);
        throw error;
      }
      return stored;
    });
  }

  async removePerson(person: string): Promise<void> {
    this.#book.removePerson(person);
    await this.#turns.run(() => this.#write());
  }

  /** Without digests. */
  list(): Omit<StoredCredential, 'digest'>[] {
    return this.#book.book.credentials.map(({ id, person, method }) => ({ id, person, method }));
  }

  #write(agreed?: () => Promise<void>): Promise<void> {
    const data = `${JSON.stringify({ v: 1, ...this.#book.book })}\n`;
    return writeFilesAtomic([{ path: this.#path, data }], 0o600, agreed);
  }
}

function parse(text: string, path: string): CredentialBook {
  const wrong = (detail: string) =>
    new FacedError('door.policy-invalid', `${path}: ${detail}`, { fix: 'restore it from a backup' });
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw wrong('not JSON');
  }
  const book = document as Partial<CredentialBook & { v: number }> | null;
  if (typeof book !== 'object' || book === null || book.v !== 1) throw wrong('not a book of version 1');
  const { salt, credentials } = book;
  if (typeof salt !== 'string' || !/^[0-9a-f]{64}$/.test(salt)) throw wrong('no salt');
  if (!Array.isArray(credentials) || !credentials.every(isCredential))
    throw wrong('a credential is malformed');
  return { salt, credentials };
}

function isCredential(one: unknown): one is StoredCredential {
  const { id, person, method, digest } = (one ?? {}) as Record<string, unknown>;
  return (
    typeof id === 'string' &&
    typeof person === 'string' &&
    (method === 'code' || method === 'badge' || method === 'qr') &&
    typeof digest === 'string' &&
    /^[0-9a-f]{64}$/.test(digest)
  );
}
