import type { DoorEffect } from './policy-types.js';

type Tell = Extract<DoorEffect, { kind: 'tell' }>;
export type Denial = Omit<Tell, 'kind' | 'what'>;

export function news(what: Tell['what'], parts: Partial<Denial>): DoorEffect {
  return { kind: 'tell', what, person: null, reason: null, path: null, track: null, request: null, ...parts };
}

export function withoutNulls(object: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null));
}
