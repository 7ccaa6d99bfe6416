import type { DoorEffect, DoorState } from './policy-types.js';

/** Refusals that are written one by one in a minute; the rest is counted. A flood must not fill the disk. */
const REFUSALS_A_MINUTE = 20;
const MINUTE_MS = 60_000;

type Refusals = DoorState['refusals'];

export const NO_REFUSALS: Refusals = { since: null, written: 0, withheld: 0 };

/** One more refusal, and whether there is room to write it down by itself. */
export function countRefusal(
  { since, written, withheld }: Refusals,
  now: number,
): { room: boolean; refusals: Refusals } {
  const room = written < REFUSALS_A_MINUTE;
  const counted = room ? { written: written + 1, withheld } : { written, withheld: withheld + 1 };
  return { room, refusals: { since: since ?? now, ...counted } };
}

/** Whether the minute of these refusals is over. */
export function isOver({ since }: Refusals, now: number): boolean {
  return since !== null && now - since >= MINUTE_MS;
}

type Tell = Extract<DoorEffect, { kind: 'tell' }>;
export type Denial = Omit<Tell, 'kind' | 'what'>;

export function news(what: Tell['what'], parts: Partial<Denial>): DoorEffect {
  return { kind: 'tell', what, person: null, reason: null, path: null, track: null, request: null, ...parts };
}

export function withoutNulls(object: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null));
}
