/** What finishes "must be …". */
export const CRON_SAYS = 'a cron expression of five fields such as "30 3 * * *"';

/** POSIX crontab: name and range of each field. A 7 as day of the week is Sunday, as it is for cron. */
const FIELDS = [
  ['the minute', 0, 59],
  ['the hour', 0, 23],
  ['the day of the month', 1, 31],
  ['the month', 1, 12],
  ['the day of the week', 0, 7],
] as const;

/**
 * What is wrong with a cron expression, as the rest of a sentence that begins with the setting; null when nothing is.
 * Numbers, lists, ranges and steps are taken; names of days and months, and a sixth field for seconds, are not.
 */
export function cronProblem(expression: string): string | null {
  const parts = expression.trim().split(/\s+/);
  if (parts.length !== FIELDS.length) return `must be ${CRON_SAYS} (is "${expression}")`;
  for (const [index, [name, low, high]] of FIELDS.entries()) {
    const part = parts[index] ?? '';
    if (!part.split(',').every((one) => fits(one, low, high)))
      return `must be ${CRON_SAYS}: ${name} is "${part}", and can be ${low} to ${high}, *, a list, a range or a step`;
  }
  return null;
}

function fits(one: string, low: number, high: number): boolean {
  const found = /^(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/.exec(one);
  if (found === null) return false;
  const [, from, to, step] = found;
  // A step needs something to step through.
  if (step !== undefined && (Number(step) < 1 || (from !== undefined && to === undefined))) return false;
  const inside = (value: string | undefined): boolean =>
    value === undefined || (Number(value) >= low && Number(value) <= high);
  return inside(from) && inside(to) && (from === undefined || to === undefined || Number(from) <= Number(to));
}
