import type { CallContext, Methods } from '../lib/rpc.js';
import { ACCESS_METHODS, type Access } from './access.js';
import { KEEPING_METHODS, type Keeping } from './keeping.js';
import { type FacedService, SERVICE_METHODS } from './service.js';

/** What a command may ask, of the running daemon or, when none runs, of the database itself. */
export type House = Pick<FacedService, (typeof SERVICE_METHODS)[number]> &
  Pick<Keeping, (typeof KEEPING_METHODS)[number]> &
  Pick<Access, (typeof ACCESS_METHODS)[number]>;

/** Every method takes at most one argument, beside what a long one has of its caller, and answers a promise, so that they can cross the control socket. */
export const HOUSE_METHODS = [...SERVICE_METHODS, ...KEEPING_METHODS, ...ACCESS_METHODS] as const;

export function houseMethods({ service, access }: { service: FacedService; access: Access }): Methods {
  return Object.fromEntries([
    ...SERVICE_METHODS.map(
      (name) => [name, (argument: never, context: CallContext) => service[name](argument, context)] as const,
    ),
    ...KEEPING_METHODS.map(
      (name) =>
        [name, (argument: never, context: CallContext) => service.keeping[name](argument, context)] as const,
    ),
    ...ACCESS_METHODS.map((name) => [name, (argument: never) => access[name](argument)] as const),
  ]);
}
