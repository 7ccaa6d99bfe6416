import { usage } from './command.js';

/** `VERSION` or `VERSION@DATE`: which text was agreed to, and on which day (today when none is named). */
export function consentOf(text: string): { version: string; givenAt: number } {
  const at = text.lastIndexOf('@');
  const [version, date] = at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
  const givenAt = date === undefined ? Date.now() : dayOf(date);
  if (version.trim() === '')
    throw usage('consent names the version of a text: VERSION or VERSION@2026-11-24');
  return { version: version.trim(), givenAt };
}

/** A day as people write it for machines (RFC 3339), in milliseconds since 1970. */
export function dayOf(date: string): number {
  const ms = /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(date) ? Date.parse(date) : Number.NaN;
  if (Number.isNaN(ms)) throw usage(`a date is written like 2026-11-24 (is ${date})`);
  return ms;
}
