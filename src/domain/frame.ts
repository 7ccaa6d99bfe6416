/** How the bytes of an {@link Image} are laid out: rows top to bottom, no padding, 8 bits a channel. */
export type PixelFormat = 'bgr24' | 'gray8';

/** A picture in memory. `data.length` is `width * height * channels(format)`. */
export interface Image {
  readonly width: number;
  readonly height: number;
  readonly format: PixelFormat;
  readonly data: Uint8Array;
}

/** Bytes of one pixel: 3 for BGR, 1 for grey. */
export function channels(format: PixelFormat): 1 | 3 {
  return format === 'bgr24' ? 3 : 1;
}

/** The same instant on two clocks, both in milliseconds. */
export interface Instant {
  /** CLOCK_MONOTONIC, the same in every process of this machine: for differences. */
  readonly monotonicMs: number;
  /** Since 1970, as the machine believes it: for people. */
  readonly wallMs: number;
}

/** One picture from a camera. Its bytes belong to the source and are valid until the next frame is asked for. */
export interface Frame extends Image {
  readonly camera: string;
  /** Counts what the camera delivered, from 1; a gap is a dropped frame. */
  readonly seq: number;
  readonly capturedAt: Instant;
  /** True when the picture has nothing to do with the one before it (a folder of images): it is not tracked. */
  readonly still: boolean;
  /** Its sides as a share of what the camera gives otherwise, 0 to 1; left out: it is as large as ever. */
  readonly reduced?: number;
  /**
   * Where this picture lies on the clip's own clock, milliseconds, when the clip is read faster (or slower) than it was
   * filmed. Rules about durations go by it where it is given, by `capturedAt` otherwise.
   */
  readonly mediaMs?: number;
}
