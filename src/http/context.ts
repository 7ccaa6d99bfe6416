import type { HttpOptions, HttpParts } from './parts.js';

/** What routes have at hand. */
export interface Context extends HttpParts {
  readonly options: HttpOptions;
  /** Aborted when the interface stops: whoever streams ends then. */
  readonly stopping: AbortSignal;
}
