import { Type } from '@sinclair/typebox';
import { FacedError } from '../../domain/errors.js';
import type { Context } from '../context.js';
import type { LiveHub, Viewed } from '../live.js';
import { type Route, route } from '../route.js';
import { CameraHealth, object } from '../schemas.js';
import { openStream, takeOver } from '../sse.js';

const Camera = object({ camera: Type.String({ minLength: 1, maxLength: 64 }) });
const BOUNDARY = 'faced-frame';

/** What the cameras see now. */
export function cameraRoutes({ health, vision, cameras, stopping }: Context, live: LiveHub): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/cameras',
      tag: 'cameras',
      summary: 'The cameras and how they are',
      who: 'read',
      answer: object({
        cameras: Type.Array(CameraHealth),
      }),
      handle: async () => ({ cameras: (await health.report()).cameras }),
    }),
    route({
      method: 'GET',
      path: '/v1/cameras/{camera}/still',
      tag: 'cameras',
      summary: 'A picture of now, as JPEG',
      description: 'Upright, with masks painted over.',
      who: 'read',
      params: Camera,
      answer: 'image/jpeg',
      handle: async ({ params, reply }) => {
        const jpeg = await vision.snapshot(known(params.camera));
        if (jpeg === null) throw new FacedError('source.open-failed', 'this camera gives no picture now');
        reply.type('image/jpeg');
        return Buffer.from(jpeg.buffer, jpeg.byteOffset, jpeg.byteLength);
      },
    }),
    route({
      method: 'GET',
      path: '/v1/cameras/{camera}/live',
      tag: 'cameras',
      summary: 'What the camera sees, as Motion JPEG with boxes and names',
      description:
        'multipart/x-mixed-replace, about ten pictures a second while the camera gives them. Names in other letters than Latin are not drawn in; /faces has them.',
      who: 'read',
      params: Camera,
      answer: 'multipart/x-mixed-replace',
      handle: async ({ params, reply }) => {
        known(params.camera);
        const type = `multipart/x-mixed-replace; boundary=${BOUNDARY}`;
        const raw = takeOver(reply, { 'content-type': type }, stopping);
        if (raw === null) return reply;
        const end = await live
          .watch(params.camera, ({ jpeg }) => {
            // Whoever cannot take the last picture yet gets a later one.
            if (raw.destroyed || raw.writableLength > 0) return;
            raw.write(
              `--${BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: ${jpeg.byteLength}\r\n\r\n`,
            );
            raw.write(jpeg);
            raw.write('\r\n');
          })
          .catch(() => {
            raw.destroy();
            return () => {};
          });
        if (raw.destroyed) end();
        else raw.once('close', end);
        return reply;
      },
    }),
    route({
      method: 'GET',
      path: '/v1/cameras/{camera}/faces',
      tag: 'cameras',
      summary: 'Who is in view, as it changes',
      description:
        'Server-sent events: `faces` carries the frame’s size and each face with its box, and what was found out about it so far.',
      who: 'read',
      params: Camera,
      answer: 'text/event-stream',
      handle: async ({ params, reply }) => {
        known(params.camera);
        const stream = openStream(reply, stopping);
        if (stream === null) return reply;
        stream.onClose(
          await live.watch(params.camera, (view) => stream.send('faces', told(view))).catch(() => () => {}),
        );
        return reply;
      },
    }),
  ];

  function known(camera: string): string {
    if (cameras.includes(camera)) return camera;
    throw new FacedError('http.not-found', 'there is no camera of this name');
  }

  function told({ frame, faces }: Viewed) {
    return {
      frame,
      faces: faces.map(({ track, box }) => {
        const look = live.lookAt(track);
        if (look === null) return { track, box, decision: null };
        const { decision, person, similarity, runnerUp, threshold, liveness, quality, poor } = look;
        return {
          ...{ track, box, decision, person, similarity, runnerUp, threshold, liveness, poor },
          quality: quality.score,
        };
      }),
    };
  }
}
