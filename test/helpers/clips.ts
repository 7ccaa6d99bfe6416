import { join } from 'node:path';
import { demoPortraits } from '../../src/camera/demo.js';
import { createImage, decode, resizeInto, VideoWriter } from '../../src/image/index.js';
import { demoPhotos } from './models.js';

/** The portrait of one of the demo's people, cut from a photograph that a public package ships. */
export async function portraitOf(name: 'Ada' | 'Bea'): Promise<Uint8Array> {
  const photographs = join((await demoPhotos())[0] ?? '', '..');
  const found = demoPortraits(photographs).find((one) => one.name === name);
  if (found === undefined) throw new Error(`the demo has no portrait of ${name}`);
  return found.jpeg;
}

export interface ClipOptions {
  readonly jpeg: Uint8Array;
  /** Seconds, at 15 frames a second. */
  readonly seconds: number;
  /** Seconds at the beginning in which nobody is there. */
  readonly emptyS?: number;
}

const FPS = 15;

/** One face that moves a little before a grey wall, as a Motion JPEG clip of 640x480. */
export function writeFaceClip(path: string, { jpeg, seconds, emptyS = 0 }: ClipOptions): void {
  const face = decode(jpeg);
  const frame = createImage(640, 480, 'bgr24');
  const writer = new VideoWriter(path, { width: 640, height: 480, fps: FPS });
  for (let index = 0; index < Math.round((seconds + emptyS) * FPS); index++) {
    if (index < Math.round(emptyS * FPS)) frame.data.fill(96);
    else {
      const step = index % 30;
      const height = face.height * 0.9 - step;
      resizeInto(face, frame, {
        roi: { x: -0.2 * face.width, y: step / 2, width: (height * 4) / 3, height },
      });
    }
    writer.write(frame);
  }
  writer.close();
}

/** A clip as a camera: at its own pace, and from its beginning again after each end. */
export function asCamera(clip: string): string {
  return `gstreamer:filesrc location=${clip} ! avidemux ! jpegdec ! identity sync=true`;
}
