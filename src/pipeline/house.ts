import type { Methods } from '../lib/rpc.js';
import { ACCESS_METHODS, type Access } from './access.js';
import { type FacedService, SERVICE_METHODS } from './service.js';

/** What a command may ask, of the running daemon or, when none runs, of the database itself. */
export type House = Pick<FacedService, (typeof SERVICE_METHODS)[number]> &
  Pick<Access, (typeof ACCESS_METHODS)[number]>;

/** Every method takes at most one argument and answers a promise, so that they can cross the control socket. */
export const HOUSE_METHODS = [...SERVICE_METHODS, ...ACCESS_METHODS] as const;

export function houseMethods({ service, access }: { service: FacedService; access: Access }): Methods {
  return Object.fromEntries([
    ...SERVICE_METHODS.map((name) => [name, (argument: never) => service[name](argument)] as const),
    ...ACCESS_METHODS.map((name) => [name, (argument: never) => access[name](argument)] as const),
  ]);
}
