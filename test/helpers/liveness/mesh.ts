import type { Image } from '../../../src/domain/frame.js';
import type { WritableImage } from '../../../src/image/index.js';

/** A textured surface: vertices in millimetres (x right, y down, z away from the camera), texture places in texture pixels. */
export interface Mesh {
  readonly xyz: Float64Array;
  readonly uv: Float64Array;
  readonly triangles: Uint16Array;
}

/** A camera's picture while it is drawn. */
export interface Canvas {
  readonly image: WritableImage;
  /** 1 / z of what is nearest so far; 0: nothing. */
  readonly nearness: Float32Array;
  /** Pixels of one unit at distance one. */
  readonly focal: number;
  /** Where the optical axis meets the picture: it moves with a hand-held camera. */
  readonly centreX: number;
  readonly centreY: number;
}

/** True where the texture is there (not cut out). */
export type Cut = (u: number, v: number) => boolean;

/** A grid of `cells` x `cells` over a rectangle of the texture; `place` says where each texture place is in space. */
export function gridMesh(
  { x, y, width, height, cells }: { x: number; y: number; width: number; height: number; cells: number },
  place: (u: number, v: number) => readonly [number, number, number],
): Mesh {
  const side = cells + 1;
  const xyz = new Float64Array(side * side * 3);
  const uv = new Float64Array(side * side * 2);
  const triangles = new Uint16Array(cells * cells * 6);
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const at = row * side + column;
      const [u, v] = [x + (width * column) / cells, y + (height * row) / cells];
      uv.set([u, v], at * 2);
      xyz.set(place(u, v), at * 3);
      if (row === cells || column === cells) continue;
      triangles.set([at, at + 1, at + side, at + 1, at + side + 1, at + side], (row * cells + column) * 6);
    }
  }
  return { xyz, uv, triangles };
}

/** Turns (radians; yaw, then pitch, then roll) about a pivot, then moves; in place of a new mesh only the vertices are made anew. */
export interface Pose {
  readonly yaw: number;
  readonly pitch: number;
  readonly roll: number;
  readonly pivot: readonly [number, number, number];
  readonly move: readonly [number, number, number];
}

export function posed(mesh: Mesh, { yaw, pitch, roll, pivot, move }: Pose): Mesh {
  const [cy, sy, cp, sp, cr, sr] = [
    Math.cos(yaw),
    Math.sin(yaw),
    Math.cos(pitch),
    Math.sin(pitch),
    Math.cos(roll),
    Math.sin(roll),
  ];
  const xyz = new Float64Array(mesh.xyz.length);
  for (let at = 0; at < xyz.length; at += 3) {
    const x = (mesh.xyz[at] ?? 0) - pivot[0];
    const y = (mesh.xyz[at + 1] ?? 0) - pivot[1];
    const z = (mesh.xyz[at + 2] ?? 0) - pivot[2];
    const [x1, z1] = [cy * x - sy * z, sy * x + cy * z];
    const [y2, z2] = [cp * y - sp * z1, sp * y + cp * z1];
    xyz[at] = cr * x1 - sr * y2 + pivot[0] + move[0];
    xyz[at + 1] = sr * x1 + cr * y2 + pivot[1] + move[1];
    xyz[at + 2] = z2 + pivot[2] + move[2];
  }
  return { xyz, uv: mesh.uv, triangles: mesh.triangles };
}

/** Draws with perspective-correct, bilinear texture and a depth buffer. */
export function draw(canvas: Canvas, mesh: Mesh, texture: Image, cut: Cut | null = null): void {
  const { focal, centreX, centreY } = canvas;
  const count = mesh.xyz.length / 3;
  const screen = new Float64Array(count * 3);
  for (let at = 0; at < count; at++) {
    const z = Math.max(1, mesh.xyz[at * 3 + 2] ?? 1);
    screen[at * 3] = centreX + (focal * (mesh.xyz[at * 3] ?? 0)) / z;
    screen[at * 3 + 1] = centreY + (focal * (mesh.xyz[at * 3 + 1] ?? 0)) / z;
    screen[at * 3 + 2] = 1 / z;
  }
  for (let at = 0; at < mesh.triangles.length; at += 3) {
    fill(canvas, screen, mesh, at, texture, cut);
  }
}

function fill(
  canvas: Canvas,
  screen: Float64Array,
  mesh: Mesh,
  first: number,
  texture: Image,
  cut: Cut | null,
): void {
  const { image, nearness } = canvas;
  const { uv, triangles } = mesh;
  const [a, b, c] = [triangles[first] ?? 0, triangles[first + 1] ?? 0, triangles[first + 2] ?? 0];
  const [ax, ay, an] = [screen[a * 3] ?? 0, screen[a * 3 + 1] ?? 0, screen[a * 3 + 2] ?? 0];
  const [bx, by, bn] = [screen[b * 3] ?? 0, screen[b * 3 + 1] ?? 0, screen[b * 3 + 2] ?? 0];
  const [cx, cy, cn] = [screen[c * 3] ?? 0, screen[c * 3 + 1] ?? 0, screen[c * 3 + 2] ?? 0];
  const area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax);
  if (Math.abs(area) < 1e-9) return;
  const [au, av] = [(uv[a * 2] ?? 0) * an, (uv[a * 2 + 1] ?? 0) * an];
  const [bu, bv] = [(uv[b * 2] ?? 0) * bn, (uv[b * 2 + 1] ?? 0) * bn];
  const [cu, cv] = [(uv[c * 2] ?? 0) * cn, (uv[c * 2 + 1] ?? 0) * cn];
  const left = Math.max(0, Math.ceil(Math.min(ax, bx, cx)));
  const right = Math.min(image.width - 1, Math.floor(Math.max(ax, bx, cx)));
  const top = Math.max(0, Math.ceil(Math.min(ay, by, cy)));
  const bottom = Math.min(image.height - 1, Math.floor(Math.max(ay, by, cy)));
  const edge = -1e-9;
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      const wa = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area;
      const wb = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area;
      const wc = 1 - wa - wb;
      if (wa < edge || wb < edge || wc < edge) continue;
      const near = wa * an + wb * bn + wc * cn;
      const pixel = y * image.width + x;
      if (near <= (nearness[pixel] ?? 0)) continue;
      const u = (wa * au + wb * bu + wc * cu) / near;
      const v = (wa * av + wb * bv + wc * cv) / near;
      if (cut !== null && !cut(u, v)) continue;
      nearness[pixel] = near;
      sample(texture, u, v, image.data, pixel * 3);
    }
  }
}

/** Bilinear, the nearest edge pixel outside. */
export function sample(texture: Image, u: number, v: number, into: Uint8Array, at: number): void {
  const { width, height, data } = texture;
  const x = Math.min(Math.max(u, 0), width - 1.001);
  const y = Math.min(Math.max(v, 0), height - 1.001);
  const [x0, y0] = [Math.floor(x), Math.floor(y)];
  const [fx, fy] = [x - x0, y - y0];
  const from = (y0 * width + x0) * 3;
  const below = from + width * 3;
  for (let channel = 0; channel < 3; channel++) {
    const upper = (data[from + channel] ?? 0) * (1 - fx) + (data[from + 3 + channel] ?? 0) * fx;
    const lower = (data[below + channel] ?? 0) * (1 - fx) + (data[below + 3 + channel] ?? 0) * fx;
    into[at + channel] = upper * (1 - fy) + lower * fy + 0.5;
  }
}
