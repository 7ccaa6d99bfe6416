import type { Box } from '../domain/face.js';
import type { Image } from '../domain/frame.js';
import { RollingBands } from '../vision/bands.js';
import { screenScore } from '../vision/screen.js';
import type { LifeLook } from './track-life.js';

/** The passive model and the search for a screen look this often at a face that is not decided yet. */
const CLOSER_LOOK_MS = 250;

/** What is looked for in one track a few times a second, since each frame would be too dear; of a screen's refresh every frame says a little. */
export class CloserLook {
  readonly #bands = new RollingBands();
  #lastMs = Number.NEGATIVE_INFINITY;

  /** Whether it is time again; then this frame is the last that was looked at closer. */
  isDue(ms: number): boolean {
    if (ms - this.#lastMs < CLOSER_LOOK_MS) return false;
    this.#lastMs = ms;
    return true;
  }

  /** What this frame shows of a screen; to be asked of each frame. @param closer whether {@link isDue} */
  forScreen(
    image: Image,
    box: Box,
    { ms, closer }: { ms: number; closer: boolean },
  ): Pick<LifeLook, 'screen' | 'bands'> {
    this.#bands.add(image, box, ms);
    return closer
      ? { screen: screenScore(image, box), bands: this.#bands.look() }
      : { screen: null, bands: false };
  }
}
