import { readFileSync } from 'node:fs';
import {
  createImage,
  decode,
  resizeInto,
  rotateInto,
  VideoWriter,
  type WritableImage,
} from '../../src/image/index.js';
import { dataPath } from '../helpers/data.js';

export const WIDTH = 640;
export const HEIGHT = 480;
export const FPS = 15;

/** Somebody in a clip: a photograph of LFW that moves in a straight line, in frame pixels and seconds. */
export interface Actor {
  readonly person: string;
  readonly photo: number;
  readonly fromMs: number;
  readonly toMs: number;
  /** Left upper corner where the photograph begins and ends. */
  readonly start: readonly [number, number];
  readonly stop: readonly [number, number];
  /** Side of the photograph in the frame, pixels; the face is about 0.45 of it. */
  readonly size?: number;
  /** When the photograph is hidden for a moment, as [from, to] in milliseconds. */
  readonly hidden?: readonly [number, number];
}

export function photoPath(person: string, photo: number): string {
  return dataPath('lfw', 'images', person, `${person}_${String(photo).padStart(4, '0')}.jpg`);
}

export function readPhoto(person: string, photo: number): Uint8Array {
  return readFileSync(photoPath(person, photo));
}

/** A Motion JPEG clip of a noisy wall before which the actors pass; those named later are nearer. */
export function writeActors(
  path: string,
  durationMs: number,
  actors: readonly Actor[],
  { turned = false }: { turned?: boolean } = {},
): void {
  const turnedFrame = createImage(HEIGHT, WIDTH, 'bgr24');
  const { width, height } = turned ? turnedFrame : { width: WIDTH, height: HEIGHT };
  const writer = new VideoWriter(path, { width, height, fps: FPS });
  const frame = createImage(WIDTH, HEIGHT, 'bgr24');
  const photos = actors.map(({ person, photo, size = 200 }) => {
    const target = createImage(size, size, 'bgr24');
    resizeInto(decode(readPhoto(person, photo)), target, { interpolation: 'area' });
    return target;
  });
  const walls = [1, 2, 3, 4, 5].map(noisyWall);
  for (let index = 0; index < (durationMs * FPS) / 1000; index++) {
    const now = (index * 1000) / FPS;
    frame.data.set(walls[index % walls.length] ?? []);
    actors.forEach((actor, index) => {
      const photo = photos[index];
      if (photo !== undefined) place(frame, photo, actor, now);
    });
    // As a camera sees it that hangs on its side: a quarter clockwise makes it upright.
    if (turned) rotateInto(frame, turnedFrame, 270);
    writer.write(turned ? turnedFrame : frame);
  }
  writer.close();
}

function place(frame: WritableImage, photo: WritableImage, actor: Actor, now: number): void {
  if (now < actor.fromMs || now >= actor.toMs) return;
  if (actor.hidden !== undefined && now >= actor.hidden[0] && now < actor.hidden[1]) return;
  const share = (now - actor.fromMs) / (actor.toMs - actor.fromMs);
  const left = Math.round(actor.start[0] + share * (actor.stop[0] - actor.start[0]));
  const top = Math.round(actor.start[1] + share * (actor.stop[1] - actor.start[1]));
  for (let row = 0; row < photo.height; row++) {
    const y = top + row;
    if (y < 0 || y >= frame.height) continue;
    const first = Math.max(0, -left);
    const last = Math.min(photo.width, frame.width - left);
    if (last <= first) continue;
    const from = row * photo.width;
    frame.data.set(
      photo.data.subarray((from + first) * 3, (from + last) * 3),
      (y * frame.width + left + first) * 3,
    );
  }
}

/** Two greys with a sensor's noise. */
function noisyWall(seedStart: number): Uint8Array {
  let seed = seedStart;
  return Uint8Array.from({ length: WIDTH * HEIGHT * 3 }, (_, at) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return 110 + (Math.floor(at / 3) % WIDTH > 320 ? 20 : 0) + ((seed >> 16) & 3);
  });
}
