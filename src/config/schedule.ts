import { CRON_SAYS, cronProblem } from '../lib/cron-fields.js';
import type { Mistake } from './sentences.js';
import { pathOrNull, section, textOrNull, wholeNumber } from './setting.js';

const whenOf = (what: string, standard: string) =>
  textOrNull(
    { says: CRON_SAYS },
    {
      description: `When ${what}: minute, hour, day of the month, month, day of the week, in the machine’s own time. null: never.`,
      default: standard,
      restart: true,
    },
  );

export const schedule = section(
  'Work that is done at set times, one piece after the other. What was missed while the machine was off is said and made up for at the start.',
  {
    retention: whenOf('what is old is deleted (events, audit); also done at each start', '7 */6 * * *'),
    backup: whenOf('the gallery is backed up, the copy is checked, and older ones are deleted', '30 3 * * *'),
    backupFolder: pathOrNull({
      description:
        'Where the backups go; another disk than the gallery’s protects against the loss of the card. null: `backups` in the state directory.',
      default: null,
      restart: true,
    }),
    keepBackups: wholeNumber(
      { minimum: 1, maximum: 1000 },
      { description: 'How many backups stay, the newest among them.', default: 7, restart: true },
    ),
    integrity: whenOf('the whole database is checked for damage', '0 4 * * 0'),
    clock: whenOf('the clock is checked', '*/15 * * * *'),
    report: whenOf('the models’ files are checked and the state of health goes to the log', '0 6 * * *'),
  },
);

/** What the schema cannot say of cron expressions. */
export function scheduleChecks(config: { schedule: Record<string, unknown> }): Mistake[] {
  return ['retention', 'backup', 'integrity', 'clock', 'report'].flatMap((name) => {
    const value = config.schedule[name];
    const problem = typeof value === 'string' ? cronProblem(value) : null;
    return problem === null ? [] : [{ path: `schedule.${name}`, problem }];
  });
}
