import { people } from './101-people.js';
import { images } from './102-images.js';
import { consents } from './103-consents.js';
import { unknown } from './104-unknown.js';
import { events } from './201-events.js';
import { commands } from './202-commands.js';
import { redactions } from './203-redactions.js';
import { eventTimes } from './204-event-times.js';
import { audit } from './301-audit.js';
import { auditCut } from './302-audit-cut.js';
import { auditEnd } from './303-audit-end.js';
import { access } from './501-access.js';

/**
 * A step of the database's form, applied once, in the order of the numbers. A number that was released is never changed
 * or used again. Ranges: gallery 1xx, events and outbox 2xx, audit 3xx, door 4xx, accounts 5xx.
 */
export interface Migration {
  readonly id: number;
  readonly sql: string;
  /**
   * It only adds: tables, indexes, columns that may be null or have a default. The program of before reads and writes
   * such a database as its own, so nothing may depend on what only the new one writes. Left out: it changes what was
   * there, and programs of before refuse the database.
   */
  readonly additive?: true;
}

export const MIGRATIONS: readonly Migration[] = [
  people,
  images,
  consents,
  unknown,
  events,
  commands,
  redactions,
  eventTimes,
  audit,
  auditCut,
  auditEnd,
  access,
];
