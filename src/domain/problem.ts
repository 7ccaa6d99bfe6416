/** What is wrong as long as it is, as the state of health lists it. */
export interface Problem {
  /** Stable error code. */
  readonly code: string;
  readonly message: string;
}
