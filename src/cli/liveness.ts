import { readClip } from '../camera/clip.js';
import type { Config } from '../config/index.js';
import { FacedError } from '../domain/errors.js';
import { ModelStore, openModels } from '../inference/index.js';
import type { Logger } from '../lib/log.js';
import { ClipLife, type ClipVerdict } from '../pipeline/clip-life.js';
import type { LivenessPolicy } from '../pipeline/life-rules.js';
import type { FaceDetector, LivenessScorer } from '../pipeline/ports.js';
import { type CommandIo, type ExitCode, parse, usage } from './command.js';
import { COMMON_OPTIONS, settings } from './settings.js';

const MODES = ['off', 'passive', 'active', 'both'] as const;
const PASSIVE_ENOUGH = 0.5;

interface ClipAnswer extends Pick<ClipVerdict, 'frames' | 'live' | 'passive' | 'active'> {
  readonly path: string;
  readonly reason: string;
  /** Pictures of a folder that cannot be read; left out when there is none. */
  readonly leftOut?: number;
  readonly error?: { readonly code: string; readonly message: string };
}

export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, { ...COMMON_OPTIONS, mode: { type: 'string' } });
  if (positionals.length === 0) throw usage('liveness takes at least one CLIP');
  const { config, modelsDir } = settings(io, values);
  const mode = MODES.find((one) => one === (values.mode ?? config.liveness.mode));
  if (mode === undefined) throw usage(`--mode must be ${MODES.join(', ')} (is ${values.mode})`);
  if (config.liveness.passive === 'off' && (mode === 'passive' || mode === 'both'))
    throw usage(`--mode ${mode} needs the passive test (liveness.passive: report)`);
  const models = await openModels({
    store: new ModelStore({ dir: modelsDir, logger: io.log }),
    models: modelsOf(config),
    signal: io.signal,
  });
  const judge = new ClipJudge({
    detector: models.detector,
    scorer: models.liveness,
    policy: { mode, minimum: config.liveness.minimum ?? PASSIVE_ENOUGH },
    withinMs: config.liveness.within * 1000,
    log: io.log,
    signal: io.signal,
  });
  const bar = io.progress('liveness', positionals.length);
  const clips: ClipAnswer[] = [];
  try {
    for (const path of positionals) {
      clips.push(await judge.clip(path));
      bar.advance();
    }
  } finally {
    bar.stop();
  }
  io.print({ clips }, clips.map(sentence).join('\n'));
  return clips.every(({ error }) => error === undefined) ? 0 : 1;
}

function modelsOf({ models, liveness }: Config) {
  const { detector, landmarks, recogniser } = models;
  return { detector, landmarks, recogniser, liveness: liveness.passive === 'off' ? null : models.liveness };
}

interface ClipJudgeParts {
  readonly detector: FaceDetector;
  readonly scorer: LivenessScorer | null;
  readonly policy: LivenessPolicy;
  readonly withinMs: number;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

class ClipJudge {
  readonly #parts: ClipJudgeParts;

  constructor(parts: ClipJudgeParts) {
    this.#parts = parts;
  }

  /** A clip that cannot be read is answered as not alive, with what is wrong with it. */
  async clip(path: string): Promise<ClipAnswer> {
    const { detector, scorer, withinMs, policy } = this.#parts;
    const life = new ClipLife({ detector, scorer, limits: { withinMs } });
    let leftOut = 0;
    const onLeftOut = () => void leftOut++;
    try {
      for await (const { image, ms } of readClip(path, { ...this.#parts, onLeftOut }))
        await life.see(image, ms);
      const { frames, live, passive, active, reason } = life.verdict(policy);
      return { path, frames, live, passive, active, reason, ...(leftOut === 0 ? {} : { leftOut }) };
    } catch (thrown) {
      const { code, message } = FacedError.from(thrown);
      if (this.#parts.signal.aborted || !/^(source|image|usage)\./.test(code)) throw thrown;
      const nothing = { frames: 0, passive: null, active: null };
      return { path, live: false, reason: 'unreadable', ...nothing, error: { code, message } };
    }
  }
}

const WORDS: Readonly<Record<string, string>> = {
  off: 'nothing is asked for',
  'solid-and-blinked': 'a solid head that turned and blinked',
  solid: 'a solid head that turned',
  'solid-as-asked': 'a solid head that turned as asked',
  'passive-score': 'the passive score is enough',
  flat: 'everything moved like a flat picture',
  'eyes-in-flat-face': 'eyes that move in a flat face',
  screen: 'the dots or the refresh of a screen',
  'passive-low': 'the passive score is too low',
  'no-motion': 'the head did not turn',
  'no-blink': 'a small turn and no blink',
  'no-turn': 'a blink, but the head did not turn',
  'not-a-head': 'it moved, but not like a head',
  'no-face': 'no face that could be followed for long enough',
  'single-picture': 'one picture shows neither blink nor depth',
};

function sentence({ path, live, reason, error, passive, leftOut = 0 }: ClipAnswer): string {
  if (error !== undefined) return `${path}: ${error.message} (${error.code})`;
  const score = passive === null ? '' : `, passive score ${passive.toFixed(2)}`;
  const missing = leftOut === 0 ? '' : `; ${leftOut} of its pictures cannot be read and were left out`;
  return `${path}: ${live ? 'alive' : 'not alive'}: ${WORDS[reason] ?? reason}${score}${missing}`;
}
