/** Who may pass which door when. */
import { Type } from '@sinclair/typebox';
import { CAMERA_NAME } from './camera.js';
import { type About, oneOf, section } from './setting.js';

const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
type Day = (typeof DAYS)[number];
const TIME = '^(([01]\\d|2[0-3]):[0-5]\\d|24:00)$';
const timeOfDay = () => Type.String({ pattern: TIME, says: 'a time of day, "00:00" to "24:00"' });
const instant = () =>
  Type.String({
    pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}(:\\d{2})?(Z|[+-]\\d{2}:\\d{2})$',
    says: 'a time with its offset, such as 2026-12-01T18:00+01:00',
  });
const list = <T extends Parameters<typeof Type.Array>[0]>(items: T, about: About<never[]>) =>
  Type.Array(items, { maxItems: 1000, ...about });

const window = Type.Object(
  {
    days: Type.Array(Type.Unsafe<Day>({ type: 'string', enum: [...DAYS] }), { minItems: 1, maxItems: 7 }),
    from: timeOfDay(),
    to: timeOfDay(),
    onHolidays: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);

const rule = Type.Object(
  {
    name: Type.String({
      pattern: '^[a-z0-9][a-z0-9_-]{0,31}$',
      says: 'a name of lower-case letters, digits, - and _',
    }),
    doors: Type.Array(Type.String({ minLength: 1 }), { minItems: 1, maxItems: 100 }),
    people: Type.Optional(Type.Array(Type.String({ minLength: 1 }), { maxItems: 1000 })),
    groups: Type.Optional(Type.Array(Type.String({ minLength: 1 }), { maxItems: 100 })),
    when: Type.Unsafe<'always' | { days: Day[]; from: string; to: string; onHolidays?: boolean }[]>({
      type: ['string', 'array'],
      pattern: '^always$',
      says: 'always, or a list of times (days, from, to)',
      minItems: 1,
      maxItems: 100,
      items: window,
    }),
  },
  { additionalProperties: false },
);

const guest = Type.Object(
  {
    person: Type.String({ minLength: 1 }),
    from: Type.Optional(instant()),
    until: instant(),
  },
  { additionalProperties: false },
);

export const access = section(
  'Who may pass which door when. Nobody may pass without a rule. People are named by id or by name, as `faced people list` shows them; an id stays when a name is given to somebody else.',
  {
    zone: Type.Unsafe<string | null>({
      type: ['string', 'null'],
      minLength: 1,
      maxLength: 100,
      description:
        'The time zone whose wall clock `when` and `holidays` are read from, such as `Europe/Berlin`. null: the machine’s.',
      default: null,
      restart: false,
    }),
    clock: oneOf(['kernel', 'trusted'], {
      description:
        '`kernel`: as long as the kernel says that no time daemon has set the clock, nothing opens that depends on an hour or a date. `trusted`: the owner vouches for the clock (a machine with a battery-backed one and no network).',
      default: 'kernel',
      restart: true,
    }),
    groups: Type.Record(
      Type.String({ pattern: CAMERA_NAME }),
      Type.Array(Type.String({ minLength: 1 }), {
        maxItems: 10_000,
        description: 'People of a group.',
        restart: false,
      }),
      {
        description: 'Groups of people: `family: [Anna, Ben]`.',
        default: {},
        additionalProperties: false,
        restart: false,
      },
    ),
    holidays: list(
      Type.String({
        pattern: '^(\\d{4}-)?\\d{2}-\\d{2}$',
        says: 'a date, "2026-12-25" once or "12-25" in every year',
      }),
      {
        description:
          'Days on which times do not count unless they say `onHolidays: true`: `12-25`, `2026-04-06`.',
        default: [],
        restart: false,
      },
    ),
    guests: list(guest, {
      description:
        'People who may come for a while: `{person: Zoe, from: 2026-12-01T08:00+01:00, until: 2026-12-05T18:00+01:00}`. This bounds what rules give them, and gives nothing by itself.',
      default: [],
      restart: false,
    }),
    rules: list(rule, {
      description:
        'Each lets people or groups through doors: `{name: family, doors: [all], groups: [family], when: always}` or `when: [{days: [mon, fri], from: "07:30", to: "09:00"}]`. A time that ends before it begins ends on the next day.',
      default: [],
      restart: false,
    }),
  },
);
