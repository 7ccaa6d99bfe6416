import { FacedError } from '../domain/errors.js';

/**
 * From an instant to what the clock on the wall of a time zone shows. `Intl.DateTimeFormat` does this one direction
 * exactly, from the tz data that Node carries, and the policy needs no other: it asks 'is it Monday between 7:00 and
 * 8:30 there, now?', never 'which instant is Monday 7:00?'. So the ambiguous and the missing hour of a daylight saving
 * change need no rule of ours, and no date library is needed.
 */
export interface CivilTime {
  /** `2026-11-24`. */
  readonly date: string;
  /** 1 Monday to 7 Sunday (ISO 8601). */
  readonly weekday: Weekday;
  /** Whole minutes since the clock showed 0:00, 0 to 1439. */
  readonly minute: number;
}

export type Weekday = 1 | 2 | 3 | 4 | 5 | 6 | 7;

const formatters = new Map<string, Intl.DateTimeFormat>();

/** @throws FacedError `config.invalid` for a zone that is not in the IANA database */
export function formatterFor(zone: string): Intl.DateTimeFormat {
  const known = formatters.get(zone);
  if (known !== undefined) return known;
  try {
    const made = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
    });
    formatters.set(zone, made);
    return made;
  } catch (cause) {
    throw new FacedError('config.invalid', `${zone} is not a time zone`, {
      fix: 'use a name of the IANA database such as Europe/Berlin',
      cause,
    });
  }
}

export function civilTime(wallMs: number, zone: string): CivilTime {
  const parts = new Map(
    formatterFor(zone)
      .formatToParts(wallMs)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const part = (name: Intl.DateTimeFormatPartTypes) => parts.get(name) ?? Number.NaN;
  const [year, month, day] = [part('year'), part('month'), part('day')];
  return {
    date: dateText(year, month, day),
    weekday: weekdayOf(Date.UTC(year, month - 1, day)),
    minute: part('hour') * 60 + part('minute'),
  };
}

/** The calendar day before; noon to noon is never a day too few, whatever the clocks do. */
export function dayBefore({ date }: CivilTime): { readonly date: string; readonly weekday: Weekday } {
  const noon = Date.parse(`${date}T12:00:00Z`) - 86_400_000;
  const at = new Date(noon);
  return {
    date: dateText(at.getUTCFullYear(), at.getUTCMonth() + 1, at.getUTCDate()),
    weekday: weekdayOf(noon),
  };
}

/** `07:30` or `24:00` as minutes of the day. @throws FacedError `config.invalid` */
export function minutesOf(text: string): number {
  const match = /^([01]\d|2[0-4]):([0-5]\d)$/.exec(text);
  const minutes = match === null ? Number.NaN : Number(match[1]) * 60 + Number(match[2]);
  if (minutes <= 1440) return minutes;
  throw new FacedError('config.invalid', `${text} is not a time of day`, {
    fix: 'write hours and minutes, 00:00 to 24:00',
  });
}

function weekdayOf(utcMs: number): Weekday {
  return (new Date(utcMs).getUTCDay() || 7) as Weekday;
}

function dateText(year: number, month: number, day: number): string {
  return `${String(year).padStart(4, '0')}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`;
}
