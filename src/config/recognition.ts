import {
  decimal,
  oneOf,
  pathOrNull,
  section,
  text,
  texts,
  wholeNumber,
  wholeNumberOrNull,
} from './setting.js';

const MODEL_ID = { pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$', says: 'the id of a model card' };

export const models = section('Which models are used, by the id of their card (`faced model list`).', {
  detector: text(MODEL_ID, { description: 'Finds faces.', default: 'ultraface', restart: true }),
  landmarks: text(MODEL_ID, {
    description:
      'Finds the points by which a face is aligned. Not used by a detector that gives points itself.',
    default: 'landmarks68',
    restart: true,
  }),
  recogniser: text(MODEL_ID, {
    description: 'Turns an aligned face into an embedding.',
    default: 'mobilefacenet',
    restart: true,
  }),
  liveness: text(MODEL_ID, {
    description: 'Tells a face from the picture of a face, one frame at a time.',
    default: 'minifasnet',
    restart: true,
  }),
  heads: texts({
    description:
      'Files of heads (`faced model head train`): what else is told of a face, under `attributes` in the event. Relative paths start at the models folder.',
    default: [],
    restart: true,
  }),
  variant: oneOf(['auto', 'float', 'int8', 'half'], {
    description:
      'Which form of each model is run. auto: 8 bits where `faced model verify` has accepted them and they are faster here (on a small board: where they are accepted), else the optimised FP32 form. A form that is not accepted, or not there, is never used, whatever stands here.',
    default: 'auto',
    restart: true,
  }),
  threads: wholeNumberOrNull(
    { minimum: 1, maximum: 16 },
    {
      description:
        'Threads of one run of a model. More answer sooner and leave less for the rest. null: what suits the board, which `faced doctor` says.',
      default: null,
      restart: true,
    },
  ),
  memoryMb: wholeNumberOrNull(
    { minimum: 64, maximum: 65536 },
    {
      description:
        'What the daemon and its vision worker may have in memory together, MB. A recogniser that would not fit into it runs in shards where it has some; near it models that are idle are let go (docs/boards.md). It is a wish, not a wall: that is the service manager’s MemoryMax. null: what the machine and its control group allow.',
      default: null,
      restart: true,
    },
  ),
  backend: oneOf(['auto', 'onnxruntime', 'tensorrt'], {
    description:
      'What runs the recogniser. tensorrt: the process faced-tensorrt on a Jetson’s host, with ONNX Runtime standing by. auto: tensorrt where its socket is there when faced starts, and on a Jetson where the folder of its socket is.',
    default: 'auto',
    restart: true,
  }),
  engineSocket: text(
    { pattern: '^/', says: 'an absolute path' },
    {
      description: 'The socket of faced-tensorrt.',
      default: '/run/faced-tensorrt/tensorrt.sock',
      restart: true,
    },
  ),
  dir: pathOrNull({
    description:
      'The folder of the model files. null: the service’s cache folder, or `~/.cache/faced/models`.',
    default: null,
    restart: true,
  }),
});

export const recognition = section('When a face counts as a person’s.', {
  strangersPerThousand: decimal(
    { minimum: 0.001, maximum: 100 },
    {
      description:
        'The promise: how many of a thousand strangers at the door may be taken for somebody in the gallery. The threshold follows from it, from the recogniser’s measured error curve and from the size of the gallery.',
      default: 1,
      restart: false,
    },
  ),
  margin: decimal(
    { minimum: 0, maximum: 0.5 },
    {
      description:
        'How far (cosine) the nearest person must lie before the next one; closer than that is `ambiguous`.',
      default: 0.05,
      restart: false,
    },
  ),
  renewAfter: wholeNumber(
    { minimum: 0, maximum: 86_400 },
    {
      description:
        'After how many seconds a person who stays in view is announced again. 0: only when the decision changes.',
      default: 0,
      restart: true,
    },
  ),
});
