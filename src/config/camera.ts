import { Type } from '@sinclair/typebox';
import { LIVENESS_MODES } from './liveness.js';
import { type About, decimal, oneOf, wholeNumber, wholeNumberOrNull, yesOrNo } from './setting.js';

const fraction = () => Type.Number({ minimum: 0, maximum: 1 });
const point = () =>
  Type.Unsafe<[number, number]>({
    type: 'array',
    minItems: 2,
    maxItems: 2,
    items: fraction(),
  });

/** Corners in fractions of the picture after rotation: [0, 0] is the upper left corner, [1, 1] the lower right one. */
function polygons(about: About<never[]>) {
  return Type.Array(Type.Array(point(), { minItems: 3, maxItems: 64 }), { maxItems: 32, ...about });
}

const camera = Type.Object(
  {
    // The one setting without a default: a camera that was not named must not be somebody else's.
    source: Type.String({
      maxLength: 4096,
      pattern: '^(v4l2:.|csi:.|rtsps?:..|file:.|images:.|gstreamer:.|demo($|[?]))',
      says: 'a source such as v4l2:/dev/video0, csi:0, rtsp://…, file:…, images:…, gstreamer:… or demo',
      description:
        'Where the frames come from: `v4l2:/dev/video0?width=640&height=480&fps=30`, `csi:0`, `rtsp://…`, `file:CLIP` (every frame; `?pace=real` for its own pace), `images:DIR`, `gstreamer:PIPELINE` or `demo`.',
      restart: true,
    }),
    trusted: Type.Unsafe<'door' | 'nothing' | null>({
      type: ['string', 'null'],
      enum: ['door', 'nothing', null],
      says: 'door or nothing',
      description:
        'What this camera is trusted with. `door`: faces in it may open the doors that name it. `nothing`: they never do. null: `door` for a camera that is wired to this machine (`v4l2:`, `csi:`), else `nothing`. A clip, a folder, the demo and pictures that are sent can never open a door.',
      default: null,
      restart: true,
    }),
    enabled: yesOrNo({ description: 'Whether this camera is used.', default: true, restart: true }),
    fps: wholeNumberOrNull(
      { minimum: 1, maximum: 60 },
      {
        description:
          'How many frames a second are looked at, at most. More finds people sooner and costs more. null: 15 for a camera by whose faces a door opens or with `trusted: door`, else what suits the board (10; 15 on a Jetson Orin).',
        default: null,
        restart: true,
      },
    ),
    rotation: oneOf([0, 90, 180, 270], {
      description: 'How far the picture is turned clockwise before anything else, in degrees.',
      default: 0,
      restart: true,
    }),
    minFace: wholeNumber(
      { minimum: 16, maximum: 2000 },
      {
        description:
          'The shorter side of the smallest face that is followed, in pixels. Faces further away are left alone.',
        default: 32,
        restart: true,
      },
    ),
    liveness: oneOf(LIVENESS_MODES, {
      description:
        'What a face before this camera has to show before its decision is anything but `spoof` (see `liveness.mode`). A camera that watches faces for a door tests at least what the door asks for.',
      default: 'off',
      restart: true,
    }),
    zones: polygons({
      description:
        'Where faces count: a list of polygons, each a list of at least three corners `[x, y]` in fractions of the picture after rotation. None means everywhere.',
      default: [],
      restart: true,
    }),
    masks: polygons({
      description:
        'What is never looked at (a street, a neighbour’s window): polygons as in `zones`. A mask is stronger than a zone.',
      default: [],
      restart: true,
    }),
    motionThreshold: decimal(
      { minimum: 0, maximum: 1 },
      {
        description:
          'Which share of the picture has to change before the detector wakes. 0 looks at every frame.',
        default: 0.002,
        restart: true,
      },
    ),
    lookEvery: decimal(
      { minimum: 0.1, maximum: 60 },
      {
        description: 'While nothing moves, how often the detector looks anyway, in seconds.',
        default: 2,
        restart: true,
      },
    ),
  },
  {
    description: 'One camera.',
    additionalProperties: false,
  },
);

/** Names end up in topics and file names. */
export const CAMERA_NAME = '^[a-z0-9][a-z0-9_-]{0,31}$';

export const cameras = Type.Record(Type.String({ pattern: CAMERA_NAME }), camera, {
  description:
    'The cameras by name (lower-case letters, digits, `-` and `_`). Without any, the first V4L2 camera of the machine is used under the name `camera`.',
  default: {},
  additionalProperties: false,
  restart: true,
});
