import type { HttpOptions, HttpParts } from './parts.js';
import type { PictureGate } from './pictures.js';

/** What routes have at hand. */
export interface Context extends HttpParts {
  readonly options: HttpOptions;
  readonly gate: PictureGate;
  /** Aborted when the interface stops: whoever streams ends then. */
  readonly stopping: AbortSignal;
}
