import type { Image } from '../domain/frame.js';
import { type NativeWriter, native } from './native.js';

export interface VideoWriterOptions {
  readonly width: number;
  readonly height: number;
  readonly fps: number;
}

/** Writes bgr24 frames of one size as Motion JPEG into an AVI file (up to 2 GB). The file is whole after {@link close}. */
export class VideoWriter {
  readonly #writer: NativeWriter;

  /** @throws Error when the file cannot be made; the path should end in `.avi`. */
  constructor(path: string, { width, height, fps }: VideoWriterOptions) {
    this.#writer = new (native().Writer)(path, width, height, fps);
  }

  write(image: Image): void {
    this.#writer.write(image);
  }

  close(): void {
    this.#writer.close();
  }
}
