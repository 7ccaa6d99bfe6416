import { createHmac, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { FacedError } from '../domain/errors.js';

/** The fields of a `lock/set` command that its MAC covers. */
export interface SignedCommand {
  readonly device: string;
  readonly door: string;
  /** `lock`, `unlock`, or what was shown: `present <method> <reader, or *> <secret>`. */
  readonly action: string;
  readonly id: string;
  /** Seconds since 1970. */
  readonly exp: number;
}

/**
 * HMAC-SHA256 (RFC 2104) over the fields, one a line, hex: with it a broker that was taken over can hold a command back
 * but neither make nor change one. Freshness and repetition are `exp` and `id`, as for every command.
 */
export function commandMac(key: Uint8Array, { device, door, action, id, exp }: SignedCommand): string {
  const text = ['faced lock/set v1', device, door, action, id, String(exp)].join('\n');
  return createHmac('sha256', key).update(text).digest('hex');
}

export function hasValidMac(key: Uint8Array, command: SignedCommand, mac: unknown): boolean {
  if (typeof mac !== 'string' || !/^[0-9a-f]{64}$/.test(mac)) return false;
  // A line break inside a field would let two different commands have the same text.
  if (Object.values(command).some((field) => String(field).includes('\n'))) return false;
  return timingSafeEqual(Buffer.from(mac, 'hex'), Buffer.from(commandMac(key, command), 'hex'));
}

/** The key file of commands: 32 raw bytes or 64 hexadecimal digits. @throws FacedError `config.unreadable`, `config.invalid` */
export async function readCommandKey(path: string): Promise<Buffer> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new FacedError('config.unreadable', `mqtt.lockKeyFile: ${path} cannot be read.`, {
      fix: 'Check the path, and that the user that faced runs as may read it.',
      cause,
    });
  });
  if (bytes.length === 32) return bytes;
  const text = bytes.length <= 80 ? bytes.toString('latin1').trim() : '';
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex');
  throw new FacedError('config.invalid', `mqtt.lockKeyFile: ${path} holds no key.`, {
    fix: 'It must be 32 raw bytes or 64 hexadecimal digits, as `openssl rand -hex 32` prints them.',
  });
}
