import type { ActiveLiveness, Challenge, TrackLiveness } from '../domain/liveness.js';
import { eyeAspectRatios } from '../vision/blink.js';
import { type LifeSample, type LifeSigns, lifeSigns } from '../vision/life-signs.js';
import { levelShape } from '../vision/parallax.js';
import { type Asked, judgeLife, LIFE_LIMITS, type LifeLimits, type LifeVerdict } from './life-rules.js';

export interface TrackLifeOptions {
  readonly limits?: Partial<LifeLimits>;
  /** Chooses by chance what is asked for; left out: nothing is. */
  readonly challenge?: () => Challenge;
}

/** What one frame shows of a track. */
export interface LifeLook {
  /** On the camera's clock. */
  readonly ms: number;
  /** 68 points; left out by detectors that give none. */
  readonly contour?: Float32Array;
  /** The passive model's score, when it was asked in this frame. */
  readonly passive: number | null;
  /** How much of a screen's pixels the face shows, when that was looked for in this frame. */
  readonly screen: number | null;
  /** True when a screen's refresh was seen to roll over it. */
  readonly bands?: boolean;
}

/** Longer ago is forgotten, so that somebody who stands there for a while and then turns is as good as one who turns at once. */
const WINDOW_MS = 4000;
/** Bounds: samples kept, and those a second that are taken. */
const MAX_SAMPLES = 96;
const LEAST_APART_MS = 35;
const MAX_SCORES = 32;
/** Unseen for longer, it could be somebody else who comes up in the same place. */
const MAX_GAP_MS = 700;
/** A challenge is given when the face was seen for so long. */
const SETTLE_MS = 250;
/**
 * The screen's dots have to show in the mean of the looks, each of them capped: one look may be wrong, and no look alone
 * makes a screen. Of few looks the mean has to be higher.
 */
const SCREEN_LOOKS = 3;
const SCREEN_SCORE = 1;
const SCREEN_SCORE_OF_FEW = 1.4;
const SCREEN_CAP = 3;
/** Before so many of these looks (a second and a half) a film on a screen can pass for a head that moves. */
const SCREEN_LOOKS_FIRST = 6;
const DEGREES = 180 / Math.PI;

/** The liveness of one track, from what each frame shows of it. Pure: time is the frames' own. */
export class TrackLife {
  readonly #limits: LifeLimits;
  readonly #choose: (() => Challenge) | undefined;
  #samples: LifeSample[] = [];
  #passive: number[] = [];
  #screen: number[] = [];
  #bands = false;
  #firstMs: number | undefined;
  #lastMs = Number.NEGATIVE_INFINITY;
  #challenge: Challenge | null = null;
  #askedMs = 0;
  #verdict: LifeVerdict = { state: 'undecided', reason: 'collecting', score: 0 };
  #signs: LifeSigns | null = null;
  #signAt: number | null = null;
  /** The signs that the verdict rests on. */
  #shown: LifeSigns | null = null;

  constructor(options: TrackLifeOptions = {}) {
    this.#limits = { ...LIFE_LIMITS, ...options.limits };
    this.#choose = options.challenge;
  }

  /** True when whoever waits for the verdict has to be told: it changed, or it is `live` and there was a further sign of life. */
  look(look: LifeLook): boolean {
    const before = this.#verdict;
    if (look.ms - this.#lastMs > MAX_GAP_MS || look.ms < this.#lastMs) this.#begin();
    this.#firstMs ??= look.ms;
    this.#lastMs = look.ms;
    if (look.passive !== null) keep(this.#passive, look.passive, MAX_SCORES);
    if (look.screen !== null) keep(this.#screen, look.screen, MAX_SCORES);
    if (look.bands === true) this.#bands = true;
    const asked = this.#take(look) && this.#ask(look.ms);
    const renewed = this.#judge();
    const { state, reason } = this.#verdict;
    return asked || renewed || state !== before.state || reason !== before.reason;
  }

  /** The track is over: what is undecided was not shown. */
  finish(): void {
    if (this.#verdict.state === 'undecided') this.#judge(Number.POSITIVE_INFINITY);
  }

  /** Somebody else may have come into this track. True when that changes what was said. */
  forget(): boolean {
    const said = this.#verdict.state !== 'undecided';
    this.#begin();
    return said;
  }

  /** True when it needs no closer look for now. */
  get settled(): boolean {
    return this.#verdict.state === 'live' || this.#verdict.state === 'spoof';
  }

  get liveness(): TrackLiveness & { readonly active: ActiveLiveness } {
    const { state, reason, score } = this.#verdict;
    return {
      passive: quantile(this.#passive, 0.5),
      active: {
        state,
        reason,
        score,
        blinks: this.#shown?.blinks.length ?? 0,
        turn: Math.asin(Math.min(1, this.#shown?.turn ?? 0)) * DEGREES,
        challenge: state === 'undecided' || state === 'not-shown' ? this.#challenge : null,
      },
    };
  }

  #begin(): void {
    this.#samples = [];
    this.#passive = [];
    this.#screen = [];
    this.#bands = false;
    this.#firstMs = undefined;
    this.#lastMs = Number.NEGATIVE_INFINITY;
    this.#challenge = null;
    this.#signs = null;
    this.#signAt = null;
    this.#shown = null;
    this.#verdict = { state: 'undecided', reason: 'collecting', score: 0 };
  }

  #take({ ms, contour }: LifeLook): boolean {
    const shape = contour === undefined ? null : levelShape(contour);
    const last = this.#samples.at(-1);
    if (contour === undefined || shape === null) return false;
    if (last !== undefined && ms - last.ms < LEAST_APART_MS) return false;
    const [left, right] = eyeAspectRatios(contour);
    keep(this.#samples, { ms, left, right, shape }, MAX_SAMPLES);
    this.#samples = this.#samples.filter((one) => ms - one.ms <= WINDOW_MS);
    return true;
  }

  #ask(ms: number): boolean {
    const begun = this.#firstMs ?? ms;
    if (this.#choose === undefined || this.#challenge !== null || ms - begun < SETTLE_MS) return false;
    this.#challenge = this.#choose();
    this.#askedMs = ms;
    // What was done before it was asked does not count.
    this.#samples = this.#samples.filter((one) => ms - one.ms <= SETTLE_MS);
    return true;
  }

  /** True when somebody who is alive gave a further sign of it. */
  #judge(elapsedMs = this.#elapsedMs()): boolean {
    const before = this.#verdict;
    // What a picture has shown is not taken back while it is in view.
    if (before.state === 'spoof') return false;
    const now = this.#lastMs;
    this.#signs = lifeSigns(this.#samples);
    const verdict = judgeLife(
      {
        signs: this.#signs,
        elapsedMs,
        asked: this.#asked(),
        screen: this.#isScreen(),
      },
      this.#limits,
    );
    if (before.state === 'live' && verdict.state !== 'spoof') return this.#renew(now, verdict);
    const early = verdict.state === 'live' && Number.isFinite(elapsedMs) && this.#screenUnsure();
    this.#verdict = early ? { ...verdict, state: 'undecided', reason: 'collecting' } : verdict;
    this.#shown = this.#signs;
    if (verdict.state === 'live' && !early) this.#signAt = now;
    return false;
  }

  /** Of the time that a face has: it begins anew with what it is asked to do. */
  #elapsedMs(): number {
    const since = this.#challenge === null ? (this.#firstMs ?? this.#lastMs) : this.#askedMs;
    return this.#lastMs - since;
  }

  /** Who is alive stays it while followed; each sign that comes later makes that newer. */
  #renew(now: number, verdict: LifeVerdict): boolean {
    const since = this.#signAt ?? now;
    const blinked = this.#signs?.blinks.some((ms) => ms > since) ?? false;
    if (verdict.state !== 'live' && !blinked) return false;
    if (now - since < 1000 && !blinked) return false;
    this.#signAt = now;
    return true;
  }

  #isScreen(): boolean {
    if (this.#bands) return true;
    const looks = this.#screen.length;
    if (looks < SCREEN_LOOKS) return false;
    const mean = this.#screen.reduce((sum, score) => sum + Math.min(score, SCREEN_CAP), 0) / looks;
    return mean >= (looks < SCREEN_LOOKS_FIRST ? SCREEN_SCORE_OF_FEW : SCREEN_SCORE);
  }

  /** A screen is looked for and has not been looked for long enough. */
  #screenUnsure(): boolean {
    const looks = this.#screen.length;
    return looks > 0 && looks < SCREEN_LOOKS_FIRST;
  }

  #asked(): Asked | null {
    if (this.#choose === undefined) return null;
    if (this.#challenge === null) return { wanted: 0, wrong: 0 };
    const since = this.#samples.filter(({ ms }) => ms >= this.#askedMs - SETTLE_MS);
    const signs = lifeSigns(since);
    if (signs === null) return { wanted: 0, wrong: 0 };
    // The person's own left is the picture's right.
    const sign = this.#challenge === 'turn-left' ? 1 : -1;
    const { least, most } = signs.swing;
    return sign > 0 ? { wanted: most, wrong: -least } : { wanted: -least, wrong: most };
  }
}

function keep<T>(list: T[], value: T, limit: number): void {
  list.push(value);
  if (list.length > limit) list.shift();
}

function quantile(values: readonly number[], share: number): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(share * sorted.length)] ?? null;
}
