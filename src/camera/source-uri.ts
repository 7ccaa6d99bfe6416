import { FacedError } from '../domain/errors.js';

/** A source as its URI says it; see {@link SOURCE_FORMS}. */
export type SourceSpec =
  | { readonly kind: 'v4l2'; readonly device: string; readonly mode: CameraMode; readonly fourcc?: string }
  | { readonly kind: 'csi'; readonly index: number; readonly mode: CameraMode }
  | { readonly kind: 'rtsp'; readonly uri: string }
  | { readonly kind: 'file'; readonly path: string; readonly pace: 'fast' | 'real' }
  | { readonly kind: 'images'; readonly folder: string }
  | { readonly kind: 'gstreamer'; readonly pipeline: string }
  | { readonly kind: 'demo'; readonly loop: boolean };

/** What a camera is asked for; it may answer with something else. */
export interface CameraMode {
  readonly width: number;
  readonly height: number;
  readonly fps: number;
}

/** Faces at a door are some 100 pixels wide then; more pixels cost time and find the same people. */
const DEFAULT_MODE: CameraMode = { width: 640, height: 480, fps: 15 };

export const SOURCE_FORMS: readonly string[] = [
  'v4l2:/dev/video0?width=640&height=480&fps=30&format=MJPG',
  'csi:0?width=1280&height=720&fps=15',
  'rtsp://user:password@camera/stream',
  'file:clip.avi, file:clip.avi?pace=real',
  'images:FOLDER',
  'gstreamer:PIPELINE',
  'demo, demo?loop=yes',
];

/** @throws FacedError `source.invalid`, which lists the valid forms */
export function parseSource(source: string): SourceSpec {
  const scheme = /^[a-z0-9]+/.exec(source)?.[0];
  const rest = source.slice(source.indexOf(':') + 1);
  switch (scheme) {
    case 'v4l2':
      return v4l2(source, rest);
    case 'csi':
      return csi(source, rest);
    case 'rtsp':
    case 'rtsps':
      return rtsp(source);
    case 'file':
      return file(source, rest);
    case 'images':
      if (rest === '' || !source.includes(':')) throw invalid(source, 'the folder is missing');
      return { kind: 'images', folder: rest };
    case 'gstreamer':
      if (rest.trim() === '' || !source.includes(':')) throw invalid(source, 'the pipeline is missing');
      return { kind: 'gstreamer', pipeline: rest.trim() };
    case 'demo':
      return demo(source);
    default:
      throw invalid(source, 'its beginning is none that faced knows');
  }
}

/** What the detectors look at: in less they find fewer faces. */
const LEAST_MODE = { width: 320, height: 240 };

/** Half the sides, for a machine that is hot; null where that would be too little to find faces in. */
export function smallerMode({ width, height, fps }: CameraMode): CameraMode | null {
  const half = { width: 2 * Math.round(width / 4), height: 2 * Math.round(height / 4), fps };
  return half.width < LEAST_MODE.width || half.height < LEAST_MODE.height ? null : half;
}

/** A camera on a wire whose URI names no size is asked for this one; other sources have their own. */
export function withFrame(source: string, { width, height }: Pick<CameraMode, 'width' | 'height'>): string {
  if (!/^(v4l2|csi):/.test(source) || /[?&](width|height)=/.test(source)) return source;
  return `${source}${source.includes('?') ? '&' : '?'}width=${width}&height=${height}`;
}

/** The URI as it may be shown and logged: without user and password. */
export function redactSource(source: string): string {
  // A pipeline can hold a password anywhere (rtspsrc user-pw=…, location=rtsp://…).
  if (source.startsWith('gstreamer:')) return 'gstreamer:…';
  return source.replace(/\/\/[^/]*@/g, '//…@');
}

function v4l2(source: string, rest: string): SourceSpec {
  const { path, query } = split(source, rest, ['width', 'height', 'fps', 'format']);
  if (!path.startsWith('/dev/')) throw invalid(source, 'the device must be a path under /dev');
  const fourcc = query.get('format');
  if (fourcc !== undefined && !/^[A-Z0-9]{4}$/.test(fourcc)) {
    throw invalid(source, 'format must be four capital letters or digits, like MJPG');
  }
  const mode = modeOf(source, query);
  return { kind: 'v4l2', device: path, mode, ...(fourcc === undefined ? {} : { fourcc }) };
}

function csi(source: string, rest: string): SourceSpec {
  const { path, query } = split(source, rest, ['width', 'height', 'fps']);
  if (!/^\d$/.test(path)) throw invalid(source, 'the camera must be a number from 0 to 9');
  return { kind: 'csi', index: Number(path), mode: modeOf(source, query) };
}

function rtsp(source: string): SourceSpec {
  if (!URL.canParse(source) || new URL(source).hostname === '') throw invalid(source, 'the host is missing');
  return { kind: 'rtsp', uri: source };
}

function file(source: string, rest: string): SourceSpec {
  // A question mark can be part of a file's name: only `?word=` begins a query.
  const { path, query } = /\?[a-z]+=[^/]*$/.test(rest)
    ? split(source, rest, ['pace'])
    : { path: rest, query: new Map<string, string>() };
  if (path === '' || !source.includes(':')) throw invalid(source, 'the path is missing');
  const pace = query.get('pace') ?? 'fast';
  if (pace !== 'fast' && pace !== 'real') throw invalid(source, `pace must be fast or real (is ${pace})`);
  return { kind: 'file', path, pace };
}

function demo(source: string): SourceSpec {
  const { path, query } = split(source, source, ['loop']);
  if (path !== 'demo') throw invalid(source, 'nothing but ?loop=yes can follow demo');
  const loop = query.get('loop') ?? 'no';
  if (loop !== 'yes' && loop !== 'no') throw invalid(source, `loop must be yes or no (is ${loop})`);
  return { kind: 'demo', loop: loop === 'yes' };
}

function split(
  source: string,
  text: string,
  keys: readonly string[],
): { path: string; query: Map<string, string> } {
  const mark = text.lastIndexOf('?');
  if (mark === -1) return { path: text, query: new Map() };
  const query = new Map(new URLSearchParams(text.slice(mark + 1)));
  for (const key of query.keys()) {
    if (!keys.includes(key)) throw invalid(source, `${key} is not one of ${keys.join(', ')}`);
  }
  return { path: text.slice(0, mark), query };
}

function modeOf(source: string, query: ReadonlyMap<string, string>): CameraMode {
  const whole = (key: keyof CameraMode, low: number, high: number) => {
    const text = query.get(key);
    if (text === undefined) return DEFAULT_MODE[key];
    const value = Number(text);
    if (Number.isInteger(value) && value >= low && value <= high) return value;
    throw invalid(source, `${key} must be a whole number from ${low} to ${high} (is ${text})`);
  };
  return { width: whole('width', 16, 8192), height: whole('height', 16, 8192), fps: whole('fps', 1, 240) };
}

function invalid(source: string, reason: string): FacedError {
  return new FacedError('source.invalid', `The source ${redactSource(source)} cannot be used: ${reason}.`, {
    fix: `Use one of these forms: ${SOURCE_FORMS.join('; ')}.`,
  });
}
