import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import type { Db } from './database.js';
import type { Sealer } from './seal.js';

const PURPOSE = 'audit-key';
/** What stands before the 32 bytes of an Ed25519 public key in its DER form (RFC 8410, 4). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/**
 * The Ed25519 key (RFC 8032) that signs heads and cuts of the audit chain. It lies sealed in the database itself, so
 * that a restored backup goes on with it, and a copy of the database without the gallery's key cannot sign.
 */
export class AuditKey {
  readonly #private: KeyObject;
  /** The raw public key, 32 bytes. */
  readonly public: Buffer;

  private constructor(key: KeyObject) {
    this.#private = key;
    this.public = createPublicKey(key).export({ type: 'spki', format: 'der' }).subarray(SPKI_PREFIX.length);
  }

  /** The database's key, made when there is none. */
  static of(db: Db, sealer: Sealer): AuditKey {
    const row = db.prepare('SELECT value FROM meta WHERE key = ?').pluck().get(PURPOSE) as Buffer | undefined;
    if (row !== undefined) {
      const der = sealer.open(row, [PURPOSE]);
      return new AuditKey(createPrivateKey({ key: der, type: 'pkcs8', format: 'der' }));
    }
    const { privateKey } = generateKeyPairSync('ed25519');
    const der = privateKey.export({ type: 'pkcs8', format: 'der' });
    db.prepare('INSERT INTO meta (key, value) VALUES (?, ?)').run(PURPOSE, sealer.seal(der, [PURPOSE]));
    return new AuditKey(privateKey);
  }

  sign(text: string): Buffer {
    return sign(null, Buffer.from(text), this.#private);
  }
}

/** Whether the raw public key made this signature; never throws. */
export function signedBy(publicKey: Uint8Array, text: string, signature: Uint8Array): boolean {
  try {
    const der = Buffer.concat([SPKI_PREFIX, publicKey]);
    const key = createPublicKey({ key: der, type: 'spki', format: 'der' });
    return verify(null, Buffer.from(text), key, signature);
  } catch {
    return false;
  }
}
