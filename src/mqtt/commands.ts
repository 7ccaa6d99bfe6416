import { FacedError } from '../domain/errors.js';
import type { Clock } from '../lib/clock.js';
import type { Logger } from '../lib/log.js';
import type { Command, CommandHandler, Store } from '../pipeline/ports.js';
import { CommandForms, type CommandKind, type DoorPort, type WellFormed } from './command-forms.js';

export interface CommandLimits {
  /** Largest payload that is looked at. */
  readonly maxBytes: number;
  /** How far ahead `exp` may lie. */
  readonly maxAheadMs: number;
  /** The same for `lock/set`: a door that opens minutes later opens for somebody else. */
  readonly lockMaxAheadMs: number;
  /** How far the sender's clock may differ from ours. */
  readonly skewMs: number;
  /** Commands of a kind that are carried out at once; more are refused as `busy`. */
  readonly concurrent: number;
  /** Ids of a kind that are remembered until their `exp`; when full, commands are refused as `busy`. */
  readonly rememberedIds: number;
}

export const DEFAULT_LIMITS: CommandLimits = {
  maxBytes: 2_000_000,
  maxAheadMs: 300_000,
  lockMaxAheadMs: 30_000,
  skewMs: 5_000,
  concurrent: 2,
  rememberedIds: 1_000,
};

export type Refusal =
  | 'too-large'
  | 'retained'
  | 'not-json'
  | 'invalid'
  | 'unsigned'
  | 'late'
  | 'too-far-ahead'
  | 'repeated'
  | 'busy';

/** The part of the store that the gate needs: ids that outlive a restart. */
export type CommandMemory = Pick<Store, 'claimCommand'>;

export interface CommandDeps {
  readonly handler: CommandHandler;
  readonly memory: CommandMemory;
  /** Without one no `lock/set` is taken. */
  readonly door?: DoorPort;
  readonly clock: Clock;
  readonly log: Logger;
  /** Publishes a result. */
  readonly reply: (kind: CommandKind, result: object) => void;
}

export interface CommandStats {
  readonly accepted: number;
  readonly refused: { readonly [Reason in Refusal]?: number };
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

/** Stands between the broker and the handler: form, authority, freshness, repetition, and how many at once. */
export class CommandGate {
  readonly #limits: CommandLimits;
  readonly #deps: CommandDeps;
  readonly #forms: CommandForms;
  /** Kind and id to the moment (ms since 1970) from which `exp` alone refuses it: spares the store a question. */
  readonly #seen = new Map<string, number>();
  readonly #running = new Set<Promise<void>>();
  readonly #active: Record<CommandKind, number> = { enroll: 0, lock: 0, control: 0 };
  readonly #refused = new Map<Refusal, number>();
  readonly #warnedAt = new Map<Refusal, number>();
  #accepted = 0;
  #tokens = REFUSAL_BURST;
  #tokensAt = 0;

  constructor(limits: CommandLimits, deps: CommandDeps) {
    this.#limits = limits;
    this.#deps = deps;
    this.#forms = new CommandForms(limits.maxBytes, deps.door);
  }

  /** Takes a command as it came. Answers by `reply`, now or when the handler is done. */
  receive(kind: CommandKind, payload: Uint8Array, retained: boolean): void {
    const read = this.#forms.read(kind, payload, retained);
    const refused = 'reason' in read ? read : this.#admit(kind, read);
    if (refused !== undefined) this.#refuse(kind, refused);
  }

  stats(): CommandStats {
    return { accepted: this.#accepted, refused: Object.fromEntries(this.#refused) };
  }

  /** Resolves when what was accepted has been answered. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  /** Lets the command go on, unless its time, its id or the load speaks against it. */
  #admit(kind: CommandKind, formed: WellFormed): Refused | undefined {
    const { maxAheadMs, lockMaxAheadMs, skewMs, concurrent, rememberedIds } = this.#limits;
    const { id, expMs } = formed;
    const now = this.#deps.clock.wall();
    const ahead = kind === 'lock' ? lockMaxAheadMs : maxAheadMs;
    if (expMs < now - skewMs) return { reason: 'late', id, message: 'exp has passed' };
    if (expMs > now + ahead + skewMs)
      return { reason: 'too-far-ahead', id, message: `exp is more than ${ahead / 1000} s ahead` };
    for (const [key, until] of this.#seen) if (until < now) this.#seen.delete(key);
    const key = `${kind} ${id}`;
    if (this.#seen.has(key)) return repeated(id);
    // A busy refusal is not remembered: the same command may come again.
    if (this.#active[kind] >= concurrent || this.#seen.size >= 2 * rememberedIds) return busy(id);
    const command = formed.command();
    if (typeof command === 'string') return { reason: 'invalid', id, message: command };
    // Held from here on, so that the same id is not admitted while the store is asked.
    this.#seen.set(key, expMs + skewMs);
    this.#active[kind]++;
    const run = this.#claimAndCarryOut(kind, command, now).finally(() => {
      this.#active[kind]--;
      this.#running.delete(run);
    });
    this.#running.add(run);
    return undefined;
  }

  /** On disk before anything is done: after a kill the command is lost at worst, never done twice. */
  async #claimAndCarryOut(kind: CommandKind, command: Command, now: number): Promise<void> {
    const key = `${kind} ${command.id}`;
    const until = this.#seen.get(key) ?? now;
    const limit = this.#limits.rememberedIds;
    try {
      const verdict = await this.#deps.memory.claimCommand({ kind, id: command.id, until, now, limit });
      if (verdict === 'repeated') return this.#refuse(kind, repeated(command.id));
      if (verdict === 'full') {
        this.#seen.delete(key);
        return this.#refuse(kind, busy(command.id));
      }
    } catch (thrown) {
      this.#seen.delete(key);
      return this.#replyError(kind, command.id, thrown);
    }
    this.#accepted++;
    await this.#carryOut(kind, command);
  }

  async #carryOut(kind: CommandKind, command: Command): Promise<void> {
    const head = { id: command.id, ok: true };
    try {
      const answer = await this.#deps.handler(command);
      this.#deps.reply(kind, { ...head, ...answer, ...head });
    } catch (thrown) {
      this.#replyError(kind, command.id, thrown);
    }
  }

  #replyError(kind: CommandKind, id: string, thrown: unknown): void {
    const error = FacedError.from(thrown);
    if (error.code === 'internal') this.#deps.log.error({ error: error.message }, 'a command failed');
    // The text of a defect may name paths and values; it stays in the log.
    const told = error.code === 'internal' ? new FacedError('internal', 'A defect in faced.') : error;
    this.#deps.reply(kind, { id, ok: false, error: told.toJSON() });
  }

  #refuse(kind: CommandKind, { reason, id, message }: Refused): void {
    const count = (this.#refused.get(reason) ?? 0) + 1;
    this.#refused.set(reason, count);
    if (kind === 'lock') this.#deps.door?.refused?.({ reason, id });
    const now = this.#deps.clock.monotonic();
    const warnedAt = this.#warnedAt.get(reason);
    if (warnedAt === undefined || now - warnedAt >= WARN_EVERY_MS) {
      this.#warnedAt.set(reason, now);
      this.#deps.log.warn({ reason, refused: count }, 'an MQTT command was refused');
    }
    if (id === null || !this.#takeToken(now)) return;
    const { code, fix } = ADVICE[reason];
    const error = new FacedError(code, `The command was refused: ${message}.`, { fix });
    this.#deps.reply(kind, { id, ok: false, error: error.toJSON() });
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

function repeated(id: string): Refused {
  return { reason: 'repeated', id, message: 'a command with this id came before' };
}

function busy(id: string): Refused {
  return { reason: 'busy', id, message: 'too many commands at once' };
}

const FORM = { code: 'mqtt.invalid', fix: 'Send one JSON object as docs/mqtt.md describes it.' } as const;
const CLOCKS = {
  code: 'mqtt.refused',
  fix: 'Set exp to some seconds from now, and check the clocks of both machines.',
} as const;

const ADVICE = {
  'too-large': { code: 'mqtt.refused', fix: 'Send a smaller picture.' },
  retained: { code: 'mqtt.refused', fix: 'Publish without the retain flag, and clear the retained message.' },
  'not-json': FORM,
  invalid: FORM,
  unsigned: { code: 'mqtt.refused', fix: 'Sign the command with the key of the door, as docs/mqtt.md says.' },
  late: CLOCKS,
  'too-far-ahead': CLOCKS,
  repeated: { code: 'mqtt.refused', fix: 'Use a new id for each command.' },
  busy: { code: 'busy', fix: 'Wait for the results of earlier commands, then send it again.' },
} as const satisfies Record<Refusal, { code: 'mqtt.refused' | 'mqtt.invalid' | 'busy'; fix: string }>;
