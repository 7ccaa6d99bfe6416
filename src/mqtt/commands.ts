import { Ajv, type ValidateFunction } from 'ajv';
import { FacedError } from '../domain/errors.js';
import type { Clock } from '../lib/clock.js';
import type { Logger } from '../lib/log.js';
import type { Command, CommandHandler } from '../pipeline/ports.js';
import { type EnrollSet, EnrollSetSchema } from './schemas.js';

export interface CommandLimits {
  /** Largest payload that is looked at. */
  readonly maxBytes: number;
  /** How far ahead `exp` may lie. */
  readonly maxAheadMs: number;
  /** How far the sender's clock may differ from ours. */
  readonly skewMs: number;
  /** Commands that are carried out at once; more are refused as `busy`. */
  readonly concurrent: number;
  /** Ids that are remembered until their `exp`; when full, commands are refused as `busy`. */
  readonly rememberedIds: number;
}

export const DEFAULT_LIMITS: CommandLimits = {
  maxBytes: 2_000_000,
  maxAheadMs: 300_000,
  skewMs: 5_000,
  concurrent: 2,
  rememberedIds: 1_000,
};

export type Refusal =
  | 'too-large'
  | 'retained'
  | 'not-json'
  | 'invalid'
  | 'late'
  | 'too-far-ahead'
  | 'repeated'
  | 'busy';

export interface CommandDeps {
  readonly handler: CommandHandler;
  readonly clock: Clock;
  readonly log: Logger;
  /** Publishes a result. */
  readonly reply: (result: object) => void;
}

export interface CommandStats {
  readonly accepted: number;
  readonly refused: { readonly [Reason in Refusal]?: number };
}

interface Accepted {
  readonly command: Command;
  readonly expMs: number;
}

interface Refused {
  readonly reason: Refusal;
  /** Null when none could be read: then nobody can be answered. */
  readonly id: string | null;
  readonly message: string;
}

const WARN_EVERY_MS = 60_000;
/** Results of refusals: this many at once, then so many a second. A flood of bad commands must not become one of answers. */
const REFUSAL_BURST = 10;
const REFUSALS_PER_SECOND = 2;

/** Stands between the broker and the handler: form, freshness, repetition, and how many at once. */
export class CommandGate {
  readonly #limits: CommandLimits;
  readonly #deps: CommandDeps;
  readonly #validEnroll: ValidateFunction<EnrollSet>;
  /** Id to the moment (ms since 1970) from which `exp` alone refuses it. */
  readonly #seen = new Map<string, number>();
  readonly #running = new Set<Promise<void>>();
  readonly #refused = new Map<Refusal, number>();
  readonly #warnedAt = new Map<Refusal, number>();
  #accepted = 0;
  #tokens = REFUSAL_BURST;
  #tokensAt = 0;

  constructor(limits: CommandLimits, deps: CommandDeps) {
    this.#limits = limits;
    this.#deps = deps;
    this.#validEnroll = new Ajv({ strict: true }).compile<EnrollSet>(EnrollSetSchema);
  }

  /** Takes an `enroll/set` as it came. Answers by `reply`, now or when the handler is done. */
  receive(payload: Uint8Array, retained: boolean): void {
    const judged = this.#readEnroll(payload, retained);
    const refused = 'reason' in judged ? judged : this.#admit(judged);
    if (refused !== undefined) this.#refuse(refused);
  }

  stats(): CommandStats {
    return { accepted: this.#accepted, refused: Object.fromEntries(this.#refused) };
  }

  /** Resolves when what was accepted has been answered. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  /** Form only; what needs the clock and the memory comes after. */
  #readEnroll(payload: Uint8Array, retained: boolean): Accepted | Refused {
    const { maxBytes } = this.#limits;
    if (payload.length > maxBytes)
      return { reason: 'too-large', id: null, message: `the payload has more than ${maxBytes} bytes` };
    const parsed = parseObject(payload);
    if (parsed === undefined)
      return { reason: 'not-json', id: null, message: 'the payload is not a JSON object' };
    const id = readableId(parsed);
    if (retained) return { reason: 'retained', id, message: 'a command must not be retained' };
    if (!this.#validEnroll(parsed)) return { reason: 'invalid', id, message: complaintOf(this.#validEnroll) };
    const image = parsed.image === undefined ? null : decodeBase64(parsed.image);
    if (image === undefined) return { reason: 'invalid', id, message: 'image is not base64' };
    if ((image === null) === (parsed.camera === undefined))
      return { reason: 'invalid', id, message: 'exactly one of image and camera is needed' };
    const { name, camera = null } = parsed;
    return { command: { kind: 'enroll', id: parsed.id, name, image, camera }, expMs: parsed.exp * 1000 };
  }

  /** Begins to carry out the command, unless its time, its id or the load speaks against it. */
  #admit({ command, expMs }: Accepted): Refused | undefined {
    const { maxAheadMs, skewMs, concurrent, rememberedIds } = this.#limits;
    const { id } = command;
    const now = this.#deps.clock.wall();
    if (expMs < now - skewMs) return { reason: 'late', id, message: 'exp has passed' };
    if (expMs > now + maxAheadMs + skewMs)
      return { reason: 'too-far-ahead', id, message: `exp is more than ${maxAheadMs / 1000} s ahead` };
    this.#forget(now);
    if (this.#seen.has(id)) return { reason: 'repeated', id, message: 'a command with this id came before' };
    // A busy refusal is not remembered: the same command may come again.
    if (this.#running.size >= concurrent || this.#seen.size >= rememberedIds)
      return { reason: 'busy', id, message: 'too many commands at once' };
    this.#seen.set(id, expMs + skewMs);
    this.#accepted++;
    const run = this.#carryOut(command).finally(() => this.#running.delete(run));
    this.#running.add(run);
    return undefined;
  }

  async #carryOut(command: Command): Promise<void> {
    const head = { id: command.id, ok: true };
    try {
      const answer = await this.#deps.handler(command);
      this.#deps.reply({ ...head, ...answer, ...head });
    } catch (thrown) {
      const error = FacedError.from(thrown);
      if (error.code === 'internal') this.#deps.log.error({ error: error.message }, 'a command failed');
      // The text of a defect may name paths and values; it stays in the log.
      const told = error.code === 'internal' ? new FacedError('internal', 'A defect in faced.') : error;
      this.#deps.reply({ ...head, ok: false, error: told.toJSON() });
    }
  }

  #forget(now: number): void {
    for (const [id, until] of this.#seen) if (until < now) this.#seen.delete(id);
  }

  #refuse({ reason, id, message }: Refused): void {
    const count = (this.#refused.get(reason) ?? 0) + 1;
    this.#refused.set(reason, count);
    const now = this.#deps.clock.monotonic();
    const warnedAt = this.#warnedAt.get(reason);
    if (warnedAt === undefined || now - warnedAt >= WARN_EVERY_MS) {
      this.#warnedAt.set(reason, now);
      this.#deps.log.warn({ reason, refused: count }, 'an MQTT command was refused');
    }
    if (id === null || !this.#takeToken(now)) return;
    const { code, fix } = ADVICE[reason];
    const error = new FacedError(code, `The command was refused: ${message}.`, { fix });
    this.#deps.reply({ id, ok: false, error: error.toJSON() });
  }

  #takeToken(now: number): boolean {
    const since = Math.max(0, now - this.#tokensAt);
    this.#tokens = Math.min(REFUSAL_BURST, this.#tokens + (since * REFUSALS_PER_SECOND) / 1000);
    this.#tokensAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}

const ADVICE = {
  'too-large': { code: 'mqtt.refused', fix: 'Send a smaller picture.' },
  retained: { code: 'mqtt.refused', fix: 'Publish without the retain flag, and clear the retained message.' },
  'not-json': { code: 'mqtt.invalid', fix: 'Send one JSON object as docs/mqtt.md describes it.' },
  invalid: { code: 'mqtt.invalid', fix: 'Send one JSON object as docs/mqtt.md describes it.' },
  late: {
    code: 'mqtt.refused',
    fix: 'Set exp to some seconds from now, and check the clocks of both machines.',
  },
  'too-far-ahead': {
    code: 'mqtt.refused',
    fix: 'Set exp to some seconds from now, and check the clocks of both machines.',
  },
  repeated: { code: 'mqtt.refused', fix: 'Use a new id for each command.' },
  busy: { code: 'busy', fix: 'Wait for the results of earlier commands, then send it again.' },
} as const satisfies Record<Refusal, { code: 'mqtt.refused' | 'mqtt.invalid' | 'busy'; fix: string }>;

function parseObject(payload: Uint8Array): object | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(payload);
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function readableId(value: object): string | null {
  const id = 'id' in value ? value.id : undefined;
  return typeof id === 'string' && id.length >= 1 && id.length <= 64 ? id : null;
}

/** Where and what, never the value itself. */
function complaintOf(validate: ValidateFunction): string {
  const error = validate.errors?.[0];
  const where =
    error?.instancePath === undefined || error.instancePath === '' ? '' : `${error.instancePath} `;
  return `${where}${error?.message ?? 'the form is wrong'}`;
}

/** Node skips what is not base64, so the length tells whether something was skipped. */
function decodeBase64(text: string): Uint8Array | undefined {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const characters = text.length - padding;
  const bytes = Buffer.from(text, 'base64');
  return bytes.length > 0 && bytes.length === Math.floor((characters * 3) / 4) ? bytes : undefined;
}
