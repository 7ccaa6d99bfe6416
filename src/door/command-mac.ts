import { createHmac, timingSafeEqual } from 'node:crypto';

/** The fields of a `lock/set` command that its MAC covers. */
export interface SignedCommand {
  readonly device: string;
  readonly door: string;
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
