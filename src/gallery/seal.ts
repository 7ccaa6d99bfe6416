import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { FacedError } from '../domain/errors.js';

const FORM = 1;
const NONCE = 12;
const TAG = 16;

/**
 * What is personal is sealed before SQLite sees it: AES-256-GCM (NIST SP 800-38D) under a key derived from the
 * master key by HKDF-SHA256, a random 96-bit nonce for each value, and a context that says where the value
 * belongs, so that a row moved to another person does not open. Layout: form (1), nonce (12), ciphertext, tag (16).
 */
export class Sealer {
  readonly #seal: Buffer;
  readonly #name: Buffer;
  /** Tells whether a key is the one of a database, and nothing else about it. */
  readonly check: Buffer;

  /** The master key has 32 bytes. */
  constructor(master: Uint8Array) {
    const derive = (purpose: string) =>
      Buffer.from(hkdfSync('sha256', master, '', `faced/gallery/${purpose}/1`, 32));
    this.#seal = derive('seal');
    this.#name = derive('name');
    this.check = derive('check');
  }

  seal(plain: Uint8Array | string, context: readonly string[]): Buffer {
    const nonce = randomBytes(NONCE);
    const cipher = createCipheriv('aes-256-gcm', this.#seal, nonce, { authTagLength: TAG });
    cipher.setAAD(Buffer.from(JSON.stringify(context)));
    const body = typeof plain === 'string' ? cipher.update(plain, 'utf8') : cipher.update(plain);
    cipher.final();
    return Buffer.concat([Buffer.of(FORM), nonce, body, cipher.getAuthTag()]);
  }

  /** Throws `gallery.corrupt` when the value was changed or stands in another place than it was sealed for. */
  open(sealed: Uint8Array, context: readonly string[]): Buffer {
    try {
      if (sealed[0] !== FORM || sealed.length < 1 + NONCE + TAG) throw new Error('unknown form');
      const nonce = sealed.subarray(1, 1 + NONCE);
      const decipher = createDecipheriv('aes-256-gcm', this.#seal, nonce, { authTagLength: TAG });
      decipher.setAAD(Buffer.from(JSON.stringify(context)));
      decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
      const plain = decipher.update(sealed.subarray(1 + NONCE, sealed.length - TAG));
      decipher.final();
      return plain;
    } catch (cause) {
      throw new FacedError('gallery.corrupt', `The ${context.join(' ')} in the database cannot be opened.`, {
        fix: 'The row was changed outside faced or the disk is failing: restore a backup of the state directory.',
        cause,
      });
    }
  }

  /** Names are unique by this value, so that no name stands in an index. */
  nameKey(name: string): Buffer {
    return createHmac('sha256', this.#name).update(name).digest();
  }
}
