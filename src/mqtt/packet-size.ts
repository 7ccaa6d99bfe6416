import type { Duplex } from 'node:stream';

/**
 * Watches the framing of incoming MQTT packets and calls `onTooLarge` as soon as a header announces more than
 * `maxBytes`: MQTT 3.1.1 has no maximum packet size, and a parser would collect up to 256 MB before anybody could refuse.
 * Framing: one byte of type and flags, then the remaining length in one to four bytes of seven bits (MQTT 3.1.1, 2.2.3).
 */
export function watchPacketSize(stream: Duplex, maxBytes: number, onTooLarge: () => void): void {
  const framing = new Framing();
  let tripped = false;
  stream.on('data', (chunk: Buffer) => {
    if (tripped || framing.largest(chunk) <= maxBytes) return;
    tripped = true;
    onTooLarge();
  });
}

/** Follows packet boundaries over chunks that are cut anywhere. */
export class Framing {
  #skip = 0;
  #inHeader = false;
  #length = 0;
  #shift = 0;

  /** The largest remaining length that a header in this chunk announces; 0 when none begins or ends here. */
  largest(chunk: Uint8Array): number {
    let largest = 0;
    let at = 0;
    while (at < chunk.length) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, chunk.length - at);
        this.#skip -= step;
        at += step;
        continue;
      }
      const byte = chunk[at++] ?? 0;
      if (!this.#inHeader) {
        this.#inHeader = true;
        this.#length = 0;
        this.#shift = 0;
        continue;
      }
      this.#length += (byte & 0x7f) * 2 ** this.#shift;
      this.#shift += 7;
      // A fifth length byte is malformed; the parser says so.
      if (byte >= 0x80 && this.#shift < 28) continue;
      this.#inHeader = false;
      this.#skip = this.#length;
      largest = Math.max(largest, this.#length);
    }
    return largest;
  }
}
