import { people } from './101-people.js';
import { events } from './201-events.js';
import { commands } from './202-commands.js';
import { audit } from './301-audit.js';
import { access } from './501-access.js';

/**
 * A step of the database's form, applied once, in a transaction of its own, in the order of the numbers. A number
 * that was released is never changed or used again. Ranges: gallery 1xx, events and outbox 2xx, audit 3xx,
 * door 4xx, accounts 5xx.
 */
export interface Migration {
  readonly id: number;
  readonly sql: string;
}

export const MIGRATIONS: readonly Migration[] = [people, events, commands, audit, access];
