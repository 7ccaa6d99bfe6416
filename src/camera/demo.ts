import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FacedError } from '../domain/errors.js';
import type { Box } from '../domain/face.js';
import type { Frame, Image } from '../domain/frame.js';
import { createImage, decode, encodeJpeg, resizeInto, type WritableImage } from '../image/index.js';
import type { Clock } from '../lib/clock.js';
import { ROOT } from '../lib/program.js';
import type { FrameSource, SourceStats } from '../pipeline/ports.js';

/** x, y, width, height in pixels of the photograph. */
type Rectangle = readonly [number, number, number, number];

/** What demo-scenario.json holds: which part of which photograph is looked at, and when. */
export interface DemoScenario {
  /** The folder that the photographs are read from is given apart; these are names in it. */
  readonly fps: number;
  readonly width: number;
  readonly height: number;
  /** One after the other; the view moves evenly from the first rectangle to the last. */
  readonly scenes: readonly {
    readonly photograph: string;
    readonly seconds: number;
    readonly from: Rectangle;
    readonly to: Rectangle;
  }[];
  /** Who is enrolled, from which crop. Invented names. */
  readonly people: readonly {
    readonly name: string;
    readonly photograph: string;
    readonly crop: Rectangle;
  }[];
}

export interface DemoOptions {
  readonly camera: string;
  /** The folder of the photographs. */
  readonly photographs: string;
  readonly loop: boolean;
}

export interface DemoDeps {
  readonly clock: Clock;
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
}

const SCENARIO = join(ROOT, 'src/camera/demo-scenario.json');

export function readScenario(): DemoScenario {
  return JSON.parse(readFileSync(SCENARIO, 'utf8')) as DemoScenario;
}

/** The pictures from which the demo's people are enrolled: JPEG, other crops than the clip shows. */
export function demoPortraits(photographs: string): { name: string; jpeg: Uint8Array }[] {
  return readScenario().people.map(({ name, photograph, crop }) => {
    const [x, y, width, height] = crop;
    const portrait = createImage(width, height, 'bgr24');
    resizeInto(readPhotograph(photographs, photograph), portrait, { roi: { x, y, width, height } });
    return { name, jpeg: encodeJpeg(portrait, 92) };
  });
}

/** A moving clip made at that moment by panning over photographs, at its own pace; newest frame wins. */
export class DemoSource implements FrameSource {
  readonly camera: string;
  readonly #options: DemoOptions;
  readonly #deps: DemoDeps;
  readonly #scenario: DemoScenario;
  readonly #frame: WritableImage;
  readonly #stopping = new AbortController();
  #photograph: { readonly name: string; readonly image: Image } | undefined;
  #startedMs = 0;
  #seq = 0;
  #dropped = 0;
  #state: SourceStats['state'] = 'opening';

  constructor(options: DemoOptions, deps: DemoDeps, scenario: DemoScenario = readScenario()) {
    this.camera = options.camera;
    this.#options = options;
    this.#deps = deps;
    this.#scenario = scenario;
    this.#frame = createImage(scenario.width, scenario.height, 'bgr24');
  }

  /** Rejects with `source.open-failed` when a photograph is missing. */
  async start(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return this.stop();
    signal.addEventListener('abort', () => void this.stop(), { once: true });
    for (const { photograph } of this.#scenario.scenes) readPhotograph(this.#options.photographs, photograph);
    this.#state = 'open';
  }

  async next(): Promise<Frame | null> {
    if (this.#state !== 'open') return null;
    const { fps } = this.#scenario;
    const now = this.#deps.clock.monotonic();
    if (this.#seq === 0) this.#startedMs = now;
    // The frame that is due now, or the one after the last; those in between came and went.
    const due = Math.floor(((now - this.#startedMs) / 1000) * fps) + 1;
    const seq = Math.max(this.#seq + 1, due);
    const early = this.#startedMs + ((seq - 1) * 1000) / fps - now;
    if (early > 0) await this.#deps.pause(early, this.#stopping.signal);
    if (this.#stopping.signal.aborted) return null;
    const view = viewAt(this.#scenario, (seq - 1) / fps, this.#options.loop);
    if (view === null) {
      this.#state = 'ended';
      this.#photograph = undefined;
      return null;
    }
    this.#dropped += seq - this.#seq - 1;
    this.#seq = seq;
    resizeInto(this.#load(view.photograph), this.#frame, { roi: view.box });
    const { clock } = this.#deps;
    const capturedAt = { monotonicMs: clock.monotonic(), wallMs: clock.wall() };
    return { ...this.#frame, camera: this.camera, seq, capturedAt, still: false };
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    if (this.#state !== 'ended') this.#state = 'stopped';
  }

  stats(): SourceStats {
    const counts = { received: this.#seq, dropped: this.#dropped, reopened: 0 };
    return { state: this.#state, ...counts, problem: null, problemCode: null };
  }

  /** One photograph at a time is kept: some 8 MB. */
  #load(name: string): Image {
    if (this.#photograph?.name !== name) {
      this.#photograph = { name, image: readPhotograph(this.#options.photographs, name) };
    }
    return this.#photograph.image;
  }
}

/** What the camera looks at after `seconds`; null when the scenario is over. */
export function viewAt(
  scenario: DemoScenario,
  seconds: number,
  loop: boolean,
): { photograph: string; box: Box } | null {
  const total = scenario.scenes.reduce((sum, scene) => sum + scene.seconds, 0);
  let left = loop ? seconds % total : seconds;
  for (const { photograph, seconds: length, from, to } of scenario.scenes) {
    if (left < length) {
      const at = (index: 0 | 1 | 2 | 3) => from[index] + (to[index] - from[index]) * (left / length);
      return { photograph, box: { x: at(0), y: at(1), width: at(2), height: at(3) } };
    }
    left -= length;
  }
  return null;
}

function readPhotograph(folder: string, name: string): Image {
  try {
    return decode(readFileSync(join(folder, name)));
  } catch (cause) {
    if (cause instanceof FacedError && cause.code === 'native.missing') throw cause;
    throw new FacedError('source.open-failed', `The demo's photograph ${name} cannot be read.`, {
      fix: 'bash deploy/setup.sh',
      cause,
    });
  }
}
