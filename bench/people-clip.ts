/** Clips for benches, made of photographs. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createImage, decode, resizeInto, VideoWriter } from '../src/image/index.js';

const FPS = 15;

/** Of a folder of folders of pictures, one a person: the first `count` with at least two. */
export function peopleOf(folder: string, count: number): { name: string; photos: string[] }[] {
  return readdirSync(folder)
    .map((name) => ({
      name,
      photos: readdirSync(join(folder, name))
        .sort()
        .map((file) => join(folder, name, file)),
    }))
    .filter(({ photos }) => photos.length >= 2)
    .slice(0, count);
}

/** Each photograph moves before a still wall for so many frames (15 a second); then nobody is there for so many. */
export function writeClip(
  path: string,
  scenes: readonly { readonly photo: string; readonly frames: number; readonly gap: number }[],
): void {
  const frame = createImage(640, 480, 'bgr24');
  const face = createImage(240, 240, 'bgr24');
  const writer = new VideoWriter(path, { width: 640, height: 480, fps: FPS });
  for (const { photo, frames, gap } of scenes) {
    resizeInto(decode(readFileSync(photo)), face);
    for (let index = 0; index < frames + gap; index++) {
      frame.data.fill(100);
      const left = 180 + ((index * 2) % 200);
      for (let y = 0; y < 240 && index < frames; y++) {
        frame.data.set(face.data.subarray(y * 720, (y + 1) * 720), ((120 + y) * 640 + left) * 3);
      }
      writer.write(frame);
    }
  }
  writer.close();
}
