/** What a token or account may do. `admin` includes the others. */
export const SCOPES = ['recognize', 'read', 'enroll', 'door', 'admin'] as const;

export type Scope = (typeof SCOPES)[number];

/** Who asks, once that is known. */
export interface Principal {
  /** As the audit names it: `account:<id>` or `token:<id>`. */
  readonly actor: string;
  readonly scopes: readonly Scope[];
}

export function mayDo(scopes: readonly Scope[], wanted: Scope): boolean {
  return scopes.includes(wanted) || scopes.includes('admin');
}
