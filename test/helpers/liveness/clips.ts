import type { Image } from '../../../src/domain/frame.js';
import { createImage } from '../../../src/image/index.js';
import { SimulatedCamera } from './camera.js';
import { type Canvas, type Cut, draw, gridMesh, type Mesh, type Pose, posed } from './mesh.js';
import {
  closeEyes,
  EYE_DISTANCE_MM,
  frameOf,
  headForm,
  headMesh,
  lidAt,
  lidsOf,
  type Portrait,
  sheetMesh,
} from './portrait.js';
import { Random } from './random.js';
import { Screen } from './screen.js';

/** Presentation attack instruments, and how they are presented. */
export const ATTACKS = [
  'print-still',
  'print-shaken',
  'print-tilted',
  'print-bent',
  'print-nearer',
  'mask-eyes',
  'screen-photo',
  'screen-film',
] as const;
/** Bona fide presentations, made of photographs: a head that turns and blinks. */
export const LIVE = ['live-turn', 'live-side', 'live-nod'] as const;

export type ClipKind = (typeof ATTACKS)[number] | (typeof LIVE)[number];

export interface ClipOptions {
  readonly seed: number;
  readonly fps?: number;
  readonly seconds?: number;
  readonly width?: number;
  readonly height?: number;
}

interface Scene {
  /** Draws what is in front of the camera at `seconds`. */
  draw(canvas: Canvas, seconds: number): void;
}

/** The frames of a clip. `other` wears the mask. The same seed makes the same clip. */
export function* framesOf(
  kind: ClipKind,
  { subject, other }: { subject: Portrait; other: Portrait },
  options: ClipOptions,
): Generator<Image> {
  const { fps = 15, seconds = 3, seed } = options;
  const random = new Random(seed * 7919 + KINDS.indexOf(kind));
  const camera = new SimulatedCamera(random, options);
  const scene = sceneOf(kind, { subject, other, random, seconds });
  for (let index = 0; index < Math.round(fps * seconds); index++) {
    const canvas = camera.open(index / fps);
    scene.draw(canvas, index / fps);
    yield camera.close(canvas);
  }
}

const KINDS: readonly ClipKind[] = [...ATTACKS, ...LIVE];
/** Millimetres from the camera: a face of some 110 to 190 pixels in a frame of 640. */
const NEAR = 470;
const FAR = 750;
const DEGREE = Math.PI / 180;

interface Cast {
  readonly subject: Portrait;
  readonly other: Portrait;
  readonly random: Random;
  readonly seconds: number;
}

function sceneOf(kind: ClipKind, cast: Cast): Scene {
  switch (kind) {
    case 'mask-eyes':
      return mask(cast);
    case 'screen-photo':
    case 'screen-film':
      return screen(cast, kind === 'screen-film');
    case 'live-turn':
    case 'live-side':
    case 'live-nod':
      return head(cast, kind);
    default:
      return print(cast, kind);
  }
}

/** How a hand moves what it holds. */
type Handling = 'print-still' | 'print-shaken' | 'print-tilted' | 'print-bent' | 'print-nearer';

function handOf(random: Random, handling: Handling, seconds: number): (time: number) => Pose {
  const slow = [0, 1, 2, 3, 4, 5].map(() => random.wander(0.15, 0.9));
  const fast = [0, 1, 2, 3, 4, 5].map(() => random.wander(0.8, 2.6));
  const far = random.between(NEAR, FAR);
  const lean = { yaw: random.between(-6, 6), pitch: random.between(-8, 8), roll: random.between(-6, 6) };
  const turn = {
    yaw: random.between(15, 38),
    pitch: random.between(5, 25),
    speed: random.between(0.25, 0.8),
  };
  const from = random.between(1.3, 1.7) * far;
  const to = random.between(0.7, 0.95) * far;
  return (time) => {
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = slow.map((wave) => wave(time));
    const pose = {
      yaw: lean.yaw + 0.8 * a,
      pitch: lean.pitch + 0.8 * b,
      roll: lean.roll + 0.6 * c,
      move: [3 * d, 3 * e, far + 4 * f] as [number, number, number],
    };
    if (handling === 'print-shaken') {
      const [p = 0, q = 0, r = 0, s = 0, t = 0, u = 0] = fast.map((wave) => wave(time));
      pose.yaw += 6 * p;
      pose.pitch += 5 * q;
      pose.roll += 5 * r;
      pose.move = [14 * s, 14 * t, far + 12 * u];
    } else if (handling === 'print-tilted' || handling === 'print-bent') {
      const share = handling === 'print-bent' ? 0.6 : 1;
      pose.yaw += share * turn.yaw * Math.sin(2 * Math.PI * turn.speed * time + a);
      pose.pitch += share * turn.pitch * Math.sin(2 * Math.PI * turn.speed * 0.7 * time + b);
    } else if (handling === 'print-nearer') {
      pose.move[2] = from + ((to - from) * time) / seconds;
    }
    return radians(pose);
  };
}

function radians(pose: { yaw: number; pitch: number; roll: number; move: [number, number, number] }): Pose {
  const { yaw, pitch, roll, move } = pose;
  return { yaw: yaw * DEGREE, pitch: pitch * DEGREE, roll: roll * DEGREE, pivot: [0, 0, 0], move };
}

function print({ subject, random, seconds }: Cast, handling: Handling): Scene {
  const hand = handOf(random, handling, seconds);
  if (handling !== 'print-bent') {
    const sheet = sheetMesh(subject);
    return { draw: (canvas, time) => draw(canvas, posed(sheet, hand(time)), subject.image) };
  }
  const axis = random.pick([0, 0, 90, 90, 45, -45, 20, -30]) * DEGREE;
  const [mean, swing] = [random.between(-60, 60), random.between(20, 60)];
  const flap = random.wander(0.3, 1.2);
  return {
    draw: (canvas, time) => {
      const sheet = sheetMesh(subject, { bend: (mean + swing * flap(time)) * DEGREE, axis });
      draw(canvas, posed(sheet, hand(time)), subject.image);
    },
  };
}

/** When somebody blinks in a clip of so many seconds, and how long the lids stay down (milliseconds). */
function blinksOf(random: Random, seconds: number): { starts: number[]; closedMs: number } {
  const starts = [random.between(0.4, Math.min(2.3, seconds - 0.5))];
  if (random.chance(0.5)) starts.push((starts[0] ?? 0) + random.between(0.5, 1.4));
  return { starts, closedMs: random.between(40, 140) };
}

/** The angles of a head's movement, degrees: to one side and back, from side to side, or with a nod. */
function turnOf(
  random: Random,
  kind: 'live-turn' | 'live-side' | 'live-nod',
): (time: number) => [number, number, number] {
  const side = random.pick([-1, 1]);
  const size = random.between(14, 26);
  const speed = random.between(0.3, 0.5);
  const phase = random.between(0, 0.5);
  const [rest, tilt, roll] = [random.wander(0.2, 0.7), random.wander(0.2, 0.7), random.wander(0.2, 0.7)];
  return (time) => {
    const wave = Math.sin(2 * Math.PI * speed * (time + phase));
    const oneSided = side * size * Math.abs(wave);
    const yaw =
      kind === 'live-turn' ? oneSided : kind === 'live-side' ? side * size * 0.8 * wave : oneSided * 0.85;
    const pitch = kind === 'live-nod' ? size * 0.5 * Math.sin(4 * Math.PI * speed * time) : 2 * tilt(time);
    return [yaw + rest(time), pitch, 2 * roll(time)];
  };
}

function head({ subject, random, seconds }: Cast, kind: 'live-turn' | 'live-side' | 'live-nod'): Scene {
  const live = new LivingHead(subject, random, seconds);
  const turn = turnOf(random, kind);
  const far = random.between(NEAR, FAR);
  const sway = [random.wander(0.2, 0.6), random.wander(0.2, 0.6), random.wander(0.2, 0.6)];
  return {
    draw: (canvas, time) => {
      const [yaw, pitch, roll] = turn(time);
      const [dx = 0, dy = 0, dz = 0] = sway.map((wave) => wave(time));
      // A head turns about the neck, behind the face and below the eyes.
      const pose = {
        ...radians({ yaw, pitch, roll, move: [6 * dx, 4 * dy, far + 6 * dz] }),
        pivot: [0, 60, 85] as const,
      };
      live.draw(canvas, pose, time);
    },
  };
}

class LivingHead {
  readonly #subject: Portrait;
  readonly #mesh: Mesh;
  readonly #blinks: { starts: number[]; closedMs: number };
  readonly #skin;

  constructor(subject: Portrait, random: Random, seconds: number) {
    this.#subject = subject;
    this.#mesh = headMesh(subject, headForm(random));
    this.#blinks = blinksOf(random, seconds);
    this.#skin = createImage(subject.image.width, subject.image.height, 'bgr24');
  }

  draw(canvas: Canvas, pose: Pose, time: number): void {
    this.#skin.data.set(this.#subject.image.data);
    const closed = lidAt(time, this.#blinks.starts, this.#blinks.closedMs);
    if (closed > 0) closeEyes(this.#subject, closed, this.#skin);
    draw(canvas, posed(this.#mesh, pose), this.#skin);
  }
}

/** A print with its eyes cut out, before the face of somebody who blinks and looks about. */
function mask({ subject, other, random, seconds }: Cast): Scene {
  const hand = handOf(random, random.pick(['print-still', 'print-shaken', 'print-tilted']), seconds);
  const wearer = new LivingHead(other, random, seconds);
  const bend = random.chance(0.5) ? random.between(10, 50) * DEGREE : 0;
  const sheet = sheetMesh(subject, { bend });
  const hole = eyeHoles(subject, random.between(1.1, 1.6));
  const fit = frameOf(subject);
  const gap = random.between(4, 15);
  const glance = random.wander(0.3, 1);
  return {
    draw: (canvas, time) => {
      const pose = hand(time);
      const [mx, my, mz] = pose.move;
      const behind: Pose = { ...pose, yaw: pose.yaw + 3 * DEGREE * glance(time), move: [mx, my, mz + gap] };
      wearer.draw(canvas, behind, time);
      draw(canvas, posed(inFront(sheet, 34), pose), subject.image, hole);
    },
  };
  /** The nose of the wearer keeps the sheet away from the eyes. */
  function inFront(mesh: Mesh, millimetres: number): Mesh {
    const xyz = mesh.xyz.map((value, at) =>
      at % 3 === 2 ? value - millimetres * (fit.eyes > 0 ? 1 : 0) : value,
    );
    return { ...mesh, xyz };
  }
}

function eyeHoles({ points }: Portrait, wide: number): Cut {
  const holes = ([36, 42] as const).map((first) => {
    const lids = lidsOf(points, first);
    const middle = (lids.from + lids.to) / 2;
    const half = (lids.to - lids.from) / 2;
    const centre = (lids.upper(middle) + lids.lower(middle)) / 2;
    const tall = Math.max((lids.lower(middle) - lids.upper(middle)) / 2, half * 0.35);
    return { middle, centre, half: half * wide, tall: tall * wide };
  });
  return (u, v) =>
    !holes.some(
      ({ middle, centre, half, tall }) => ((u - middle) / half) ** 2 + ((v - centre) / tall) ** 2 < 1,
    );
}

function screen(cast: Cast, isFilm: boolean): Scene {
  const { subject, random, seconds } = cast;
  const device = new Screen(random);
  const hand = handOf(
    random,
    random.pick(['print-still', 'print-still', 'print-shaken', 'print-tilted']),
    seconds,
  );
  const film = isFilm ? head(cast, random.pick(LIVE)) : null;
  const { centre, eyes, scale } = frameOf(subject);
  let shown = device.show(subject.image);
  const mesh = surfaceMesh(shown.surface, shown.edge, centre, scale);
  return {
    draw: (canvas, time) => {
      if (film !== null) {
        // The film is taken so that the face has the same place in it as in the photograph.
        const { width, height } = subject.image;
        const focal = (eyes / EYE_DISTANCE_MM) * ((NEAR + FAR) / 2);
        const picture = createImage(width, height, 'bgr24');
        picture.data.fill(120);
        film.draw(
          {
            image: picture,
            nearness: new Float32Array(width * height),
            focal,
            centreX: centre[0],
            centreY: centre[1],
          },
          time,
        );
        shown = device.show(picture);
      }
      draw(canvas, posed(mesh, hand(time)), shown.surface);
      device.light(canvas, time);
    },
  };
}

function surfaceMesh(surface: Image, edge: number, centre: readonly [number, number], scale: number): Mesh {
  const dots = 3;
  const area = { x: 0, y: 0, width: surface.width - 1, height: surface.height - 1, cells: 8 };
  return gridMesh(area, (u, v) => [
    (u / dots - edge - centre[0]) * scale,
    (v / dots - edge - centre[1]) * scale,
    0,
  ]);
}
