import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { demoPortraits } from '../../src/camera/demo.js';
import {
  createImage,
  decode,
  encodeJpeg,
  resizeInto,
  VideoWriter,
  type WritableImage,
} from '../../src/image/index.js';
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

/** A clip of so many seconds in which each picture is shown in turn, moving a little. */
export function writePictureClip(
  path: string,
  pictures: readonly { image: WritableImage; seconds: number }[],
): void {
  const frame = createImage(640, 480, 'bgr24');
  const writer = new VideoWriter(path, { width: 640, height: 480, fps: 10 });
  for (const { image, seconds } of pictures)
    for (let index = 0; index < seconds * 10; index++) {
      const height = image.height - (index % 20);
      resizeInto(image, frame, {
        roi: { x: image.width / 2 - (height * 2) / 3, y: (index % 20) / 2, width: (height * 4) / 3, height },
      });
      writer.write(frame);
    }
  writer.close();
}

/** A camera of ten frames a second that shows these again and again, for as long as somebody looks; they lie in `dir`. */
export function endlessCamera(dir: string, frames: Iterable<WritableImage>): string {
  let index = 0;
  for (const frame of frames) writeFileSync(join(dir, `${index++}.jpg`), encodeJpeg(frame, 90));
  const files = `multifilesrc location=${join(dir, '%d.jpg')} loop=true caps=image/jpeg,framerate=10/1`;
  return `gstreamer:${files} ! jpegdec ! identity sync=true`;
}

/** Frames of 640x480 in which the picture comes nearer and goes back a little. */
export function* moving(image: WritableImage): Generator<WritableImage> {
  const frame = createImage(640, 480, 'bgr24');
  for (let index = 0; index < 20; index++) {
    const height = image.height - Math.abs(10 - index) * 2;
    resizeInto(image, frame, {
      roi: { x: image.width / 2 - (height * 2) / 3, y: 0, width: (height * 4) / 3, height },
    });
    yield frame;
  }
}

/** A face of the photographs that looks nearly into the camera, as it is and as a mirror shows it. */
export async function turningHead(): Promise<{ plain: WritableImage; mirrored: WritableImage }> {
  const photograph = decode(await readFile(join((await demoPhotos())[0] ?? '', '..', 'sample3.jpg')));
  const plain = createImage(400, 460, 'bgr24');
  resizeInto(photograph, plain, { roi: { x: 1394, y: 203, width: 400, height: 460 } });
  const mirrored = createImage(400, 460, 'bgr24');
  for (let y = 0; y < 460; y++)
    for (let x = 0; x < 400; x++) {
      const from = (y * 400 + 399 - x) * 3;
      mirrored.data.set(plain.data.subarray(from, from + 3), (y * 400 + x) * 3);
    }
  return { plain, mirrored };
}

/** A clip as a camera: at its own pace, and from its beginning again after each end. */
export function asCamera(clip: string): string {
  return `gstreamer:filesrc location=${clip} ! avidemux ! jpegdec ! identity sync=true`;
}
