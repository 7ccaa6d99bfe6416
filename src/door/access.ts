import { FacedError } from '../domain/errors.js';
import { type CivilTime, civilTime, dayBefore, formatterFor, minutesOf, type Weekday } from './calendar.js';

/** When, on the wall clock of a zone. `to` at or before `from` means the next day: Friday 22:00 to 06:00 ends on Saturday. */
export interface TimeWindow {
  readonly days: readonly Weekday[];
  /** `07:00`. */
  readonly from: string;
  /** `08:30`; the minute itself no longer counts. `24:00` is the end of the day. */
  readonly to: string;
  /** Whether the window also counts on holidays. A window belongs to the day on which it begins. Default false. */
  readonly onHolidays?: boolean;
}

/** Lets people pass through doors at times. Nobody passes without a rule: rules only ever add. */
export interface AccessRule {
  readonly id: string;
  /** Ids of doors, or all of them. */
  readonly doors: readonly string[] | 'all';
  /** Ids of people. */
  readonly people?: readonly string[];
  /** Names of {@link AccessPolicy.groups}. */
  readonly groups?: readonly string[];
  readonly when: 'always' | readonly TimeWindow[];
}

/** Bounds everything that rules give a person: somebody who may come in for a while. Milliseconds since 1970. */
export interface Guest {
  readonly person: string;
  readonly from?: number;
  readonly until: number;
}

export interface AccessPolicy {
  /** IANA name, `Europe/Berlin`: whose wall clock the windows and holidays are read from. */
  readonly zone: string;
  /** Group to ids of its people. */
  readonly groups: Readonly<Record<string, readonly string[]>>;
  /** `2026-12-25` once, `12-25` in every year. */
  readonly holidays: readonly string[];
  readonly guests: readonly Guest[];
  readonly rules: readonly AccessRule[];
}

/** A house that nobody may enter: what holds until a policy was read. */
export const NOBODY: AccessPolicy = { zone: 'UTC', groups: {}, holidays: [], guests: [], rules: [] };

export type AccessRefusal = 'no-rule' | 'outside-hours' | 'not-yet' | 'ended' | 'clock-unsynchronised';

export type AccessAnswer =
  | { readonly allowed: true; readonly rule: string }
  | { readonly allowed: false; readonly reason: AccessRefusal };

export interface AccessQuestion {
  readonly person: string;
  readonly door: string;
  /** Milliseconds since 1970, as the machine believes it. */
  readonly wallMs: number;
  /** False when the machine has no reason to believe its clock: then nothing that needs a date or an hour holds. */
  readonly synchronised: boolean;
}

/** Whether somebody may pass a door now. Pure; the reason is the one nearest to a yes. */
export function mayPass(policy: AccessPolicy, question: AccessQuestion): AccessAnswer {
  const { person, door, wallMs, synchronised } = question;
  const rules = policy.rules.filter((rule) => concerns(policy, rule, person, door));
  if (rules.length === 0) return refused('no-rule');

  const stays = policy.guests.filter((guest) => guest.person === person);
  if (stays.length > 0) {
    if (!synchronised) return refused('clock-unsynchronised');
    const begun = stays.filter(({ from }) => from === undefined || from <= wallMs);
    if (begun.length === 0) return refused('not-yet');
    if (begun.every(({ until }) => until <= wallMs)) return refused('ended');
  }

  const always = rules.find(({ when }) => when === 'always');
  if (always !== undefined) return { allowed: true, rule: always.id };
  if (!synchronised) return refused('clock-unsynchronised');

  const now = civilTime(wallMs, policy.zone);
  const open = rules.find(
    ({ when }) => when !== 'always' && when.some((window) => inWindow(window, now, policy.holidays)),
  );
  return open === undefined ? refused('outside-hours') : { allowed: true, rule: open.id };
}

/** Whether the wall clock stands inside a window. */
export function inWindow(window: TimeWindow, now: CivilTime, holidays: readonly string[]): boolean {
  const [from, to] = [minutesOf(window.from), minutesOf(window.to)];
  const begins = ({ date, weekday }: { date: string; weekday: Weekday }) =>
    window.days.includes(weekday) && (window.onHolidays === true || !isHoliday(date, holidays));
  if (from < to) return begins(now) && from <= now.minute && now.minute < to;
  // Over midnight: the evening of a day that is named, or the morning after it.
  return (begins(now) && from <= now.minute) || (begins(dayBefore(now)) && now.minute < to);
}

/** All that is wrong with a policy, as sentences with their path; empty when it can be used. */
export function policyMistakes(policy: AccessPolicy): string[] {
  const wrong: string[] = [];
  const attempt = (path: string, check: () => unknown) => {
    try {
      check();
    } catch (error) {
      wrong.push(`${path}: ${FacedError.from(error).message}`);
    }
  };
  attempt('zone', () => formatterFor(policy.zone));
  for (const [index, text] of policy.holidays.entries()) {
    const date = text.length === 5 ? `2024-${text}` : text;
    const real = new Date(`${date}T00:00:00Z`);
    if (Number.isNaN(real.getTime()) || !real.toISOString().startsWith(date))
      wrong.push(`holidays[${index}]: ${text} is not a date`);
  }
  for (const [index, guest] of policy.guests.entries()) {
    if (guest.from !== undefined && guest.from >= guest.until)
      wrong.push(`guests[${index}]: ends before it begins`);
  }
  for (const [index, rule] of policy.rules.entries()) {
    const path = `rules[${index}]`;
    for (const group of rule.groups ?? []) {
      if (!Object.hasOwn(policy.groups, group)) wrong.push(`${path}.groups: there is no group ${group}`);
    }
    if (rule.when === 'always') continue;
    for (const [at, window] of rule.when.entries()) {
      attempt(`${path}.when[${at}].from`, () => minutesOf(window.from));
      attempt(`${path}.when[${at}].to`, () => minutesOf(window.to));
      if (window.days.length === 0) wrong.push(`${path}.when[${at}].days: no day is named`);
    }
  }
  return wrong;
}

function concerns(policy: AccessPolicy, rule: AccessRule, person: string, door: string): boolean {
  if (rule.doors !== 'all' && !rule.doors.includes(door)) return false;
  if (rule.people?.includes(person) === true) return true;
  return (rule.groups ?? []).some(
    (group) => Object.hasOwn(policy.groups, group) && policy.groups[group]?.includes(person) === true,
  );
}

function isHoliday(date: string, holidays: readonly string[]): boolean {
  return holidays.includes(date) || holidays.includes(date.slice(5));
}

function refused(reason: AccessRefusal): AccessAnswer {
  return { allowed: false, reason };
}
