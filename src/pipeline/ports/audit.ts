/** The audit table as others see it. */

export interface AuditEntry {
  readonly kind: string;
  /** Who did it: `cli`, `mqtt`, `http:<account>`, `daemon`. */
  readonly actor: string;
  /** Plain JSON data; people by id, never by name. */
  readonly detail: Readonly<Record<string, unknown>>;
}

/** A row of the audit table. Each hash covers the row and the hash before it: SHA-256, hexadecimal. */
export interface AuditRow extends AuditEntry {
  /** From 1, without gaps. */
  readonly seq: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly previous: string;
  readonly hash: string;
}

export interface AuditState {
  readonly ok: boolean;
  readonly rows: number;
  /** Hash of the last row: kept elsewhere, it also shows that rows were cut off at the end. Null while there is none. */
  readonly head: string | null;
  /** The first row that does not fit; null when every row does. */
  readonly brokenAt: number | null;
  /**
   * Why `ok` is false. `row-changed`: a row was changed, or one before it removed. `cut-forged`: the beginning was cut
   * off by somebody else. `head-missing`: the chain does not hold the head that was given: it was written anew, or cut
   * off at its end. `head-too-old`: its row is older than what is kept. `head-forged`: its signature is not ours. `end-missing`: the
   * newest rows were taken off.
   */
  readonly problem:
    | 'row-changed'
    | 'cut-forged'
    | 'head-missing'
    | 'head-too-old'
    | 'head-forged'
    | 'end-missing'
    | null;
  /** Where the retention has cut the chain: the last row that is gone. Null when none is. */
  readonly cut: { readonly seq: number; readonly at: number } | null;
  /** The public half of the key that signs heads and cuts: Ed25519, base64url. */
  readonly key: string;
}

/** The newest row of the chain as it is told to others, who keep it. */
export interface SignedHead {
  readonly v: 1;
  readonly seq: number;
  readonly hash: string;
  /** RFC 3339. */
  readonly time: string;
  /** Ed25519 public key, raw, base64url. */
  readonly key: string;
  /** Over the JSON array ["faced/audit/head/1", seq, time, hash] in UTF-8, base64url. */
  readonly sig: string;
}

/** A head that was kept, for which a row must be in the chain. */
export interface HeadClaim {
  readonly hash: string;
  readonly seq?: number;
  /** When given, its signature is checked too. */
  readonly signed?: SignedHead;
}

export interface AuditFilter {
  /** The seq of the last row that was seen. */
  readonly after?: number;
  readonly limit: number;
  /** Rows that name this id only. */
  readonly about?: string;
  readonly kind?: string;
}
