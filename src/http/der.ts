/** As much of ASN.1's distinguished encoding (ITU-T X.690) as a certificate needs. */

export function tlv(tag: number, ...contents: Uint8Array[]): Buffer {
  const body = Buffer.concat(contents);
  return Buffer.concat([Buffer.of(tag), lengthOf(body.length), body]);
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.of(length);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length);
  const first = bytes.findIndex((byte) => byte !== 0);
  return Buffer.concat([Buffer.of(0x80 | (4 - first)), bytes.subarray(first)]);
}

export const sequence = (...contents: Uint8Array[]): Buffer => tlv(0x30, ...contents);
export const set = (...contents: Uint8Array[]): Buffer => tlv(0x31, ...contents);
export const octets = (bytes: Uint8Array): Buffer => tlv(0x04, bytes);
export const bits = (bytes: Uint8Array, unused = 0): Buffer => tlv(0x03, Buffer.of(unused), bytes);
export const utf8 = (text: string): Buffer => tlv(0x0c, Buffer.from(text));
export const yes = (): Buffer => tlv(0x01, Buffer.of(0xff));
/** A tag of the context, around other values. */
export const explicit = (tag: number, ...contents: Uint8Array[]): Buffer => tlv(0xa0 | tag, ...contents);
/** A tag of the context, in place of a primitive one. */
export const implicit = (tag: number, bytes: Uint8Array): Buffer => tlv(0x80 | tag, bytes);

/** Not negative: a leading zero where the first bit is set. */
export function integer(bytes: Uint8Array): Buffer {
  const start = bytes.findIndex((byte) => byte !== 0);
  const body = start === -1 ? Buffer.of(0) : Buffer.from(bytes.subarray(start));
  return tlv(0x02, (body[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), body]) : body);
}

export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return tlv(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): number[] {
  const digits = [value & 0x7f];
  for (let left = value >>> 7; left > 0; left >>>= 7) digits.unshift((left & 0x7f) | 0x80);
  return digits;
}

/** Until 2049 in two digits, from 2050 on in four (RFC 5280, 4.1.2.5). */
export function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]|\.\d+/g, '');
  return date.getUTCFullYear() < 2050
    ? tlv(0x17, Buffer.from(digits.slice(2)))
    : tlv(0x18, Buffer.from(digits));
}
