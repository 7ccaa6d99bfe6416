/** The content of one string of a JSON text, without its quotes; `start` equals `end` when there is no long one. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Strings below this stay in the text. */
const LONG = 4_096;
/** Strings in a command: far more than any has. */
const MAX_STRINGS = 64;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Finds the longest string of a JSON text without parsing it: outside of strings no quote occurs, inside only an escaped
 * one (RFC 8259, 7). Undefined when there are more strings than a command can have, so that the work is bounded. What is
 * no JSON gives some span; the parser that gets the rest says so.
 */
export function longestString(bytes: Buffer): Span | undefined {
  let longest: Span = { start: 0, end: 0 };
  let at = bytes.indexOf(QUOTE);
  for (let count = 0; at !== -1; count++) {
    if (count === MAX_STRINGS) return undefined;
    const start = at + 1;
    const end = endOfString(bytes, start);
    if (end === -1) return longest;
    if (end - start >= LONG && end - start > longest.end - longest.start) longest = { start, end };
    at = bytes.indexOf(QUOTE, end + 1);
  }
  return longest;
}

function endOfString(bytes: Buffer, start: number): number {
  let quotes = 0;
  for (let at = bytes.indexOf(QUOTE, start); at !== -1; at = bytes.indexOf(QUOTE, at + 1)) {
    // A string with many escaped quotes is no picture: the text behind it is then too long and refused.
    if (++quotes > LONG) return -1;
    let slashes = 0;
    while (at - 1 - slashes >= start && bytes[at - 1 - slashes] === BACKSLASH) slashes++;
    if (slashes % 2 === 0) return at;
  }
  return -1;
}
