import type { Box } from '../domain/face.js';
import { channels, type Image } from '../domain/frame.js';

/** Rows that are looked at, and columns over the face and at both edges of the picture. */
const ROWS = 48;
const INSIDE = 24;
const OUTSIDE = 8;
/** Share of the picture's width that the columns at each edge take. */
const EDGE = 0.06;
/** Pixels of a cell that are read, each way. */
const READS = 4;
const LEAST_APART_MS = 35;
const MAX_STEPS = 64;
const MIN_STEPS = 11;
const MIN_SPAN_MS = 900;
/** Waves over the height, and the slowest, hertz: heads move slower. */
const WAVES = Float64Array.from({ length: 11 }, (_, at) => 1 + at / 2);
const SLOWEST = 0.8;
/** Of what the light does from frame to frame: how much of it this wave is, and how much of that runs one way. */
const SHARE = 0.3;
const ONE_WAY = 0.9;
/** Least depth of the bands, as a share of the light. */
const DEPTH = 0.015;
/** Two looks have to agree so far, hertz and waves. */
const SAME_SPEED = 0.5;
const SAME_WAVE = 1;

interface Step {
  readonly seconds: number;
  readonly inside: Float64Array;
  readonly outside: Float64Array;
}

interface Wave {
  readonly wave: number;
  /** Hertz; its sign is the way it runs. */
  readonly speed: number;
}

/**
 * The bands that a screen's refresh draws into a camera's picture: rows that are darker or brighter and roll at an even
 * pace. Each row's light is followed from frame to frame (the median of its columns, so that what moves sideways does not
 * count; what moves up or down is taken out). Whatever moves or brightens as a whole is a product of a shape and a time,
 * whose spectrum is the same for both directions; bands run one way. A lamp in the room draws them too, but over the whole
 * picture: those that reach its edges are left alone. Bands that stand still are not seen.
 */
export class RollingBands {
  #region: Box | null = null;
  #cells = new Float64Array(ROWS * (INSIDE + OUTSIDE));
  #before = new Float64Array(ROWS * (INSIDE + OUTSIDE));
  #lastMs = Number.NEGATIVE_INFINITY;
  #steps: Step[] = [];
  #seen: Wave | null = null;

  /** One frame of a track. @param ms on the camera's clock */
  add(image: Image, box: Box, ms: number): void {
    if (ms - this.#lastMs < LEAST_APART_MS && ms >= this.#lastMs) return;
    const isNew = this.#region === null || ms < this.#lastMs || movedAway(this.#region, box);
    if (isNew) {
      this.#region = regionOf(image, box);
      this.#steps = [];
      this.#seen = null;
    }
    [this.#cells, this.#before] = [this.#before, this.#cells];
    if (this.#region !== null) readCells(image, this.#region, this.#cells);
    if (!isNew) this.#steps.push(this.#step((ms + this.#lastMs) / 2000));
    if (this.#steps.length > MAX_STEPS) this.#steps.shift();
    this.#lastMs = ms;
  }

  /** True when the same bands were seen in this look and the one before; to be asked a few times a second. */
  look(): boolean {
    const wave = this.#wave();
    const before = this.#seen;
    this.#seen = wave;
    if (wave === null || before === null) return false;
    return Math.abs(wave.speed - before.speed) < SAME_SPEED && Math.abs(wave.wave - before.wave) <= SAME_WAVE;
  }

  #step(seconds: number): Step {
    const rise = rowMedians(this.#cells, 0, INSIDE);
    const changes = this.#cells.map((value, at) => value - (this.#before[at] ?? 0));
    const inside = rowMedians(changes, 0, INSIDE);
    // A picture that moves up or down changes its rows by the light's slope.
    const slope = rise.map(
      (_, row) => ((rise[Math.min(ROWS - 1, row + 1)] ?? 0) - (rise[Math.max(0, row - 1)] ?? 0)) / 2,
    );
    const [flat, lean] = [windowed(inside), slope.map((value, row) => value * (WINDOW[row] ?? 0))];
    const steep = sum(lean, lean);
    const moved = steep > 0 ? sum(flat, lean) / steep : 0;
    return {
      seconds,
      inside: flat.map((value, row) => value - moved * (lean[row] ?? 0)),
      outside: windowed(rowMedians(changes, INSIDE, OUTSIDE)),
    };
  }

  /** The strongest wave that runs one way, if it is strong enough to be a screen's. */
  #wave(): Wave | null {
    const steps = this.#steps;
    const [first, last] = [steps[0], steps.at(-1)];
    if (steps.length < MIN_STEPS || first === undefined || last === undefined) return null;
    const span = last.seconds - first.seconds;
    if (span * 1000 < MIN_SPAN_MS) return null;
    const apart = span / (steps.length - 1);
    const finest = 0.5 / span;
    let best = { oneWay: 0, both: 1, at: 0, speed: 0 };
    for (const at of WAVES.keys()) {
      const line = steps.map(({ inside }) => along(inside, at));
      for (let hertz = SLOWEST; hertz <= 0.46 / apart; hertz += finest) {
        const [down, up] = powers(line, steps, hertz);
        const oneWay = Math.abs(down - up);
        if (oneWay > best.oneWay) best = { oneWay, both: down + up, at, speed: down > up ? hertz : -hertz };
      }
    }
    const hertz = Math.abs(best.speed);
    // The slowest that is looked for also takes in what is slower than it.
    if (hertz < SLOWEST + 0.9 * finest) return null;
    const energy = steps.reduce((all, { inside }) => all + sum(inside, inside), 0) / (steps.length * ROWS);
    // From the change between frames to the bands themselves.
    const depth = Math.sqrt(best.oneWay) / (2 * Math.sin(Math.PI * hertz * apart));
    if (!(depth >= DEPTH && best.oneWay >= ONE_WAY * best.both && best.oneWay >= SHARE * energy)) return null;
    const edges = steps.map(({ outside }) => along(outside, best.at));
    const [down, up] = powers(edges, steps, hertz);
    if ((best.speed > 0 ? down : up) >= best.oneWay / 4) return null;
    return { wave: WAVES[best.at] ?? 0, speed: best.speed };
  }
}

/** The face and what is next to it; the same rows and columns for as long as it stays there. */
function regionOf(image: Image, { x, y, width, height }: Box): Box {
  const top = Math.max(0, y - 0.3 * height);
  const bottom = Math.min(image.height, y + 1.3 * height);
  return { x: x - 0.1 * width, y: top, width: 1.2 * width, height: bottom - top };
}

function movedAway(region: Box, box: Box): boolean {
  const across = Math.abs(box.x + box.width / 2 - region.x - region.width / 2);
  return across > region.width / 2 || box.y + box.height < region.y || box.y > region.y + region.height;
}

/** Logarithms of each cell's green, which carries most of the light. */
function readCells(image: Image, region: Box, cells: Float64Array): void {
  const edge = EDGE * image.width;
  for (let row = 0; row < ROWS; row++) {
    const top = region.y + (row * region.height) / ROWS;
    const height = region.height / ROWS;
    for (let column = 0; column < INSIDE + OUTSIDE; column++) {
      const out = column - INSIDE;
      const half = OUTSIDE / 2;
      const width = out < 0 ? region.width / INSIDE : edge / half;
      const left =
        out < 0
          ? region.x + column * width
          : out < half
            ? out * width
            : image.width - edge + (out - half) * width;
      cells[row * (INSIDE + OUTSIDE) + column] = Math.log(
        8 + cellMean(image, { x: left, y: top, width, height }),
      );
    }
  }
}

function cellMean({ data, format, width, height }: Image, cell: Box): number {
  const size = channels(format);
  let total = 0;
  for (let down = 0; down < READS; down++) {
    const y = within(cell.y + ((down + 0.5) * cell.height) / READS, height);
    for (let right = 0; right < READS; right++) {
      const x = within(cell.x + ((right + 0.5) * cell.width) / READS, width);
      total += data[(y * width + x) * size + (size === 3 ? 1 : 0)] ?? 0;
    }
  }
  return total / (READS * READS);
}

function within(value: number, length: number): number {
  return Math.min(Math.max(Math.floor(value), 0), length - 1);
}

/** Of each row the median of these columns. */
function rowMedians(cells: Float64Array, first: number, count: number): Float64Array {
  const medians = new Float64Array(ROWS);
  for (let row = 0; row < ROWS; row++) {
    const from = row * (INSIDE + OUTSIDE) + first;
    medians[row] = cells.slice(from, from + count).sort()[count >> 1] ?? 0;
  }
  return medians;
}

/** Hann's window, so that the ends make no waves of their own. */
const WINDOW = Float64Array.from(
  { length: ROWS },
  (_, row) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (row + 0.5)) / ROWS),
);
const COSINES = wavesByRow(Math.cos);
const SINES = wavesByRow(Math.sin);

function wavesByRow(of: (angle: number) => number): Float64Array[] {
  return Array.from(WAVES, (wave) =>
    Float64Array.from({ length: ROWS }, (_, row) => of((2 * Math.PI * wave * row) / ROWS)),
  );
}

function windowed(rows: Float64Array): Float64Array {
  const mean = rows.reduce((total, value) => total + value, 0) / ROWS;
  return rows.map((value, row) => (value - mean) * (WINDOW[row] ?? 0));
}

/** The wave's part of one profile, as a complex number. */
function along(rows: Float64Array, at: number): readonly [number, number] {
  return [sum(rows, COSINES[at] ?? WINDOW), -sum(rows, SINES[at] ?? WINDOW)];
}

/** Powers of the wave that runs down the picture and of the one that runs up, so that a wave of depth 1 has 1. */
function powers(
  line: readonly (readonly [number, number])[],
  steps: readonly Step[],
  hertz: number,
): readonly [down: number, up: number] {
  let [rc, rs, ic, is] = [0, 0, 0, 0];
  for (const [index, [re, im]] of line.entries()) {
    const angle = 2 * Math.PI * hertz * (steps[index]?.seconds ?? 0);
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    rc += re * cos;
    rs += re * sin;
    ic += im * cos;
    is += im * sin;
  }
  const scale = (line.length * ROWS) / 4;
  return [((rc - is) ** 2 + (rs + ic) ** 2) / scale ** 2, ((rc + is) ** 2 + (ic - rs) ** 2) / scale ** 2];
}

function sum(a: Float64Array, b: Float64Array): number {
  let total = 0;
  for (let at = 0; at < a.length; at++) total += (a[at] ?? 0) * (b[at] ?? 0);
  return total;
}
