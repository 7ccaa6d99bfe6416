import { readFileSync } from 'node:fs';
import { decode, VideoWriter } from '../../../src/image/index.js';
import type { FaceDetector } from '../../../src/pipeline/ports.js';
import { type ClipKind, type ClipOptions, framesOf } from './clips.js';
import type { Portrait } from './portrait.js';

/** A photograph of one face as the material of a clip; null when the detector does not find just one. */
export async function portraitOf(path: string, detector: FaceDetector): Promise<Portrait | null> {
  const image = decode(readFileSync(path));
  const [face, ...others] = await detector.detect(image);
  if (face?.contour === undefined || others.length > 0) return null;
  return { image, points: face.contour };
}

/** Writes a clip as Motion JPEG. */
export function writeLivenessClip(
  path: string,
  kind: ClipKind,
  cast: { subject: Portrait; other: Portrait },
  options: ClipOptions,
): void {
  let writer: VideoWriter | undefined;
  for (const frame of framesOf(kind, cast, options)) {
    const { width, height } = frame;
    writer ??= new VideoWriter(path, { width, height, fps: options.fps ?? 15 });
    writer.write(frame);
  }
  writer?.close();
}
