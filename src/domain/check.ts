/** One line of `faced doctor`. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  /** What to do about it, as a sentence; there whenever `ok` is false. */
  readonly fix?: string;
}
