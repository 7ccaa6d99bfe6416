/** What a face has to show before it counts as alive. */
export type LivenessMode = 'off' | 'passive' | 'active' | 'both';

/**
 * How far a track has come. `undecided`: its time is not over. `spoof`: it has shown signs of a picture, and the track
 * stays that. `not-shown`: its time is over without signs of either kind; a later sign of life still makes it `live`.
 * Only `live` is a yes.
 */
export type LivenessState = 'undecided' | 'live' | 'spoof' | 'not-shown';

/** What a person in view is asked to do, by chance; null asks nothing. Left and right are the person's own. */
export type Challenge = 'turn-left' | 'turn-right';

export type LivenessReason =
  /** Not asked. */
  | 'off'
  /** Not enough frames yet. */
  | 'collecting'
  // live
  /** Moved like a solid head, and blinked. */
  | 'solid-and-blinked'
  /** Turned like a solid head, and far enough to need no blink. */
  | 'solid'
  /** Moved like a solid head as it was asked to. */
  | 'solid-as-asked'
  /** The passive model's vote was enough for what was asked. */
  | 'passive-score'
  // spoof
  /** Turned or moved, and every point of it moved like those of a flat picture. */
  | 'flat'
  /** Eyes that move in a face that is flat: holes in a picture. */
  | 'eyes-in-flat-face'
  /** Signs of a screen: its pixels, its frame, its refresh. */
  | 'screen'
  /** The passive model's vote. */
  | 'passive-low'
  // not shown
  /** Still for the whole time. */
  | 'no-motion'
  /** It moved, but neither like a head nor clearly like a picture. */
  | 'not-a-head'
  /** A solid head that turned a little, but its eyes never closed. */
  | 'no-blink'
  /** The eyes closed, but the head did not turn. */
  | 'no-turn'
  /** What was asked for was not done. */
  | 'not-as-asked'
  /** No face that could be followed for long enough. */
  | 'no-face'
  /** A picture that stands for itself shows neither blink nor depth. */
  | 'single-picture';

/** The active test of one track: signs over time that a picture does not give. */
export interface ActiveLiveness {
  readonly state: LivenessState;
  /** 0 (nothing, or a picture) to 1 (all that was asked for). */
  readonly score: number;
  readonly reason: LivenessReason;
  /** Times that both eyes closed and opened. */
  readonly blinks: number;
  /** Between the furthest turns to either side, degrees. */
  readonly turn: number;
  /** What the person is asked to do now. */
  readonly challenge: Challenge | null;
}

/** What is known of a track's liveness; which part counts is for whoever asks. */
export interface TrackLiveness {
  /** Median score of the passive model over the track's looks, 0 (a picture) to 1 (alive); null when it was not asked. */
  readonly passive: number | null;
  /** Null when the active test is not made for this camera. */
  readonly active: ActiveLiveness | null;
}
