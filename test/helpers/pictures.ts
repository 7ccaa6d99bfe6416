import { createImage, VideoWriter, type WritableImage } from '../../src/image/index.js';

/** A BGR picture whose value at (x, y) is what `colour` says. */
export function paint(
  width: number,
  height: number,
  colour: (x: number, y: number) => readonly [number, number, number],
): WritableImage {
  const image = createImage(width, height, 'bgr24');
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) image.data.set(colour(x, y), (y * width + x) * 3);
  }
  return image;
}

/** The BGR (or grey) value at (x, y). */
export function at(
  image: { width: number; data: Uint8Array; format: string },
  x: number,
  y: number,
): number[] {
  const size = image.format === 'bgr24' ? 3 : 1;
  const from = (y * image.width + x) * size;
  return [...image.data.subarray(from, from + size)];
}

/** The frame of number `index` (0 to 255) of {@link writeClip}: a flat grey of 8 levels a step, which survives JPEG. */
export function greyOf(index: number): number {
  return (index * 8) % 256;
}

/** A Motion JPEG clip of flat frames, each with its number as its grey level. */
export function writeClip(
  path: string,
  {
    frames,
    width = 160,
    height = 120,
    fps = 25,
  }: { frames: number; width?: number; height?: number; fps?: number },
): void {
  const writer = new VideoWriter(path, { width, height, fps });
  for (let index = 0; index < frames; index++) {
    const grey = greyOf(index);
    writer.write(paint(width, height, () => [grey, grey, grey]));
  }
  writer.close();
}
