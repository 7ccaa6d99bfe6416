/**
 * A model checker for the door's policy: breadth-first over every state that policy, lock and faults can reach from
 * rest, with an oracle that knows nothing of the policy's state. The oracle keeps its own short history of what was
 * shown to the door, and says of each unlock whether that history justifies it.
 *
 * Time is counted in ticks of 500 ms. Whatever is older than every limit of the rules is forgotten, on both sides, so
 * that the states are finitely many; `reached` says how many there were.
 */
import type { AccessPolicy } from '../../src/door/access.js';
import { INITIAL_STATE, step } from '../../src/door/policy.js';
import type { DoorEffect, DoorInput, DoorState, Step, StepContext } from '../../src/door/policy-types.js';
import type { DoorRules } from '../../src/door/rules.js';
import type { Look } from '../../src/door/sure.js';

export const TICK_MS = 500;
/** Some instant; everything is relative to it. */
const EPOCH = 1_000_000_000;

export const ACCESS: AccessPolicy = {
  zone: 'UTC',
  groups: {},
  holidays: [],
  guests: [],
  rules: [
    { id: 'owner', doors: 'all', people: ['anna'], when: 'always' },
    {
      id: 'cleaner',
      doors: 'all',
      people: ['carl'],
      when: [{ days: [1, 2, 3, 4, 5, 6, 7], from: '00:00', to: '24:00' }],
    },
  ],
};

/** What the world does in one move. `advance` lets a tick pass; the others take no time. */
export type Move =
  | {
      readonly name: string;
      readonly input: (world: World) => DoorInput | null;
      readonly sees?: Seen;
      /** What else changes in the same instant, before the door hears of it. */
      readonly first?: (world: World) => World;
    }
  | { readonly name: string; readonly change: (world: World) => World };

/** What a move shows, in the oracle's own words. */
interface Seen {
  readonly what: 'look' | 'alive' | 'flat' | 'code' | 'command';
  readonly person?: string;
  /** True when it came from a camera or reader that the oracle trusts. */
  readonly trusted: boolean;
  readonly track?: string;
  /** Of a look: whom it is like when it is compared with that one person; null for nobody. */
  readonly like?: string | null;
  /** Of a look: the passive model doubts that it is alive. */
  readonly doubtful?: boolean;
}

interface Remembered extends Seen {
  /** In ticks. */
  readonly at: number;
}

export interface World {
  readonly state: DoorState;
  readonly tick: number;
  readonly synchronised: boolean;
  /** Whether the second rules hold ({@link CheckOptions.reloaded}). */
  readonly reloaded: boolean;
  /** Whether Anna may pass. */
  readonly rights: boolean;
  /** The oracle's memory, oldest first. */
  readonly history: readonly Remembered[];
  /** What the oracle found when the pending grant was made: null when it was justified. */
  readonly complaint: string | null;
  readonly grantedAt: number | null;
  /** The row of the grant is on the disk. */
  readonly audited: boolean;
  readonly unlockedAt: number | null;
  /** Spoofs and contradicted claims that the oracle counted, and until when the face path is closed by them. */
  readonly failures: number;
  readonly failedAt: number | null;
  readonly closedUntil: number | null;
  /** The valid code whose face is waited for, and whether another face came. */
  readonly claim: { readonly person: string; readonly at: number; readonly contradicted: boolean } | null;
  /** Wrong codes in a row, and until when no code is taken because of them. */
  readonly wrong: number;
  readonly wrongAt: number | null;
  readonly keypadUntil: number | null;
  readonly lock: 'locked' | 'unlocked' | 'silent';
}

export interface Oracle {
  readonly rules: DoorRules;
  readonly horizonTicks: number;
}

export interface CheckOptions {
  readonly rules: DoorRules;
  readonly moves: readonly Move[];
  /** What holds after a SIGHUP, and until the next one; they differ in no length of time. */
  readonly reloaded?: DoorRules;
  /** The oracle's own idea of the rules; a mutation gives the policy other ones. */
  readonly policyRules?: DoorRules;
  readonly step?: (state: DoorState, input: DoorInput, context: StepContext) => Step;
  readonly limit?: number;
}

export interface CheckResult {
  readonly reached: number;
  readonly transitions: number;
  readonly unlocks: number;
  /** The first wrong unlock and the moves that lead to it. */
  readonly violation: { readonly why: string; readonly path: readonly string[] } | null;
}

const START: World = {
  state: INITIAL_STATE,
  tick: 0,
  synchronised: true,
  reloaded: false,
  rights: true,
  history: [],
  complaint: null,
  grantedAt: null,
  audited: false,
  unlockedAt: null,
  failures: 0,
  failedAt: null,
  closedUntil: null,
  claim: null,
  wrong: 0,
  wrongAt: null,
  keypadUntil: null,
  lock: 'locked',
};

interface Node {
  readonly world: World;
  readonly by: string;
  readonly from: Node | null;
}

export function check(options: CheckOptions): CheckResult {
  const { rules, moves, limit = 60_000 } = options;
  const horizon = horizonOf(rules);
  const seen = new Set<string>([keyOf(START, horizon)]);
  let frontier: Node[] = [{ world: START, by: '', from: null }];
  let [transitions, unlocks] = [0, 0];
  while (frontier.length > 0) {
    const next: Node[] = [];
    for (const node of frontier) {
      for (const move of moves) {
        const result = make(node.world, move, options);
        if (result === null) continue;
        transitions++;
        unlocks += result.unlocked ? 1 : 0;
        const here: Node = { world: result.world, by: move.name, from: node };
        if (result.why !== null) {
          const violation = { why: result.why, path: pathTo(here) };
          return { reached: seen.size, transitions, unlocks, violation };
        }
        const key = keyOf(result.world, horizon);
        if (seen.has(key)) continue;
        seen.add(key);
        if (seen.size > limit) throw new Error(`more than ${limit} states: the model is not finite enough`);
        next.push(here);
      }
    }
    frontier = next;
  }
  return { reached: seen.size, transitions, unlocks, violation: null };
}

function horizonOf({ sure, secondFactorMs, coolDownMs, faceBackoff }: DoorRules): number {
  const evidence = Math.max(sure.withinMs, sure.activeMaxAgeMs) + secondFactorMs;
  return Math.ceil(Math.max(evidence, coolDownMs, faceBackoff.forgetMs) / TICK_MS) + 1;
}

interface Made {
  readonly world: World;
  readonly why: string | null;
  readonly unlocked: boolean;
}

function make(before: World, move: Move, options: CheckOptions): Made | null {
  if ('change' in move) {
    const world = move.change(before);
    const rules = rulesIn(world, options);
    return world === before ? null : { world: prune(world, rules), why: null, unlocked: false };
  }
  const input = move.input(before);
  if (input === null) return null;
  return heard(move.first?.(before) ?? before, { input, move, options });
}

function rulesIn({ reloaded }: World, options: CheckOptions): DoorRules {
  return (reloaded ? options.reloaded : undefined) ?? options.rules;
}

/** The door is told something, and the oracle looks at what it does. */
function heard(
  before: World,
  {
    input,
    move,
    options,
  }: { input: DoorInput; move: Pick<Move, 'name'> & { sees?: Seen }; options: CheckOptions },
): Made {
  const rules = rulesIn(before, options);
  const { policyRules = rules } = options;
  const { state, effects } = (options.step ?? step)(before.state, input, {
    rules: policyRules,
    access: before.rights ? ACCESS : { ...ACCESS, rules: ACCESS.rules.filter(({ id }) => id !== 'owner') },
    now: msOf(before.tick),
    wallMs: EPOCH + msOf(before.tick),
    synchronised: before.synchronised,
    grantId: `g${before.tick}`,
  });
  let world: World = { ...endClaim(before, rules), state };
  if (move.sees !== undefined) world = remember(world, move.sees, rules);
  if (input.kind === 'personRemoved') world = without(world, input.person);
  // What was flat stays flat, also when nothing else that was seen counts any more.
  if (input.kind === 'forget')
    world = { ...world, history: world.history.filter(({ what }) => what === 'flat'), claim: null };
  if (input.kind === 'audited' && input.ok) world = { ...world, audited: true };
  const made = judge(world, effects, rules);
  return {
    ...made,
    why: made.why ?? (move.sees === undefined ? null : kept(before, move.sees, effects, rules)),
  };
}

/** What a door has to do: no lock-out of faces keeps out whoever has a valid second path. Null when it did. */
function kept(
  before: World,
  { what, person, trusted }: Seen,
  effects: readonly DoorEffect[],
  rules: DoorRules,
): string | null {
  const { tick, unlockedAt, state } = before;
  // Whoever comes while a grant is under way is told to try again.
  if (!trusted || state.pending !== null) return null;
  const granted = effects.some((effect) => effect.kind === 'auditGrant');
  const cooling = unlockedAt !== null && (tick - unlockedAt) * TICK_MS < rules.coolDownMs;
  if (what === 'command' && rules.remoteUnlock && !cooling && !granted) return 'a command was refused';
  if (what !== 'code' || person === undefined || !rules.modes.includes('code')) return null;
  if (mayEnter(before, person) !== null || keypadClosed(before)) return null;
  return granted ? null : 'a valid code was refused';
}

/** The oracle's verdict on what the policy did. */
function judge(before: World, effects: readonly DoorEffect[], rules: DoorRules): Made {
  let world = before;
  let why: string | null = null;
  let unlocked = false;
  for (const effect of effects) {
    if (effect.kind === 'auditGrant') {
      const complaint = objectionTo(world, effect.grant.path, effect.grant.person, rules);
      const claim = effect.grant.path === 'face+code' ? null : world.claim;
      world = { ...world, claim, complaint, grantedAt: world.tick, audited: false };
    }
    if (effect.kind !== 'unlock') continue;
    unlocked = true;
    const { path, person } = effect.grant;
    why ??= world.complaint;
    if (world.grantedAt === null) why ??= 'an unlock that nobody granted';
    else if ((world.tick - world.grantedAt) * TICK_MS > rules.grantMs) why ??= 'a grant that waited too long';
    if (!world.audited) why ??= 'an unlock that was not written down first';
    if (person !== null) why ??= mayEnter(world, person);
    if (path === 'face' || path === 'face+code') why ??= facePathObjection(world, rules);
    world = {
      ...world,
      unlockedAt: world.tick,
      grantedAt: null,
      complaint: null,
      audited: false,
      lock: 'unlocked',
    };
    if (path === 'face' || path === 'face+code')
      world = { ...world, failures: 0, failedAt: null, closedUntil: null };
  }
  // A grant that came to nothing is no longer of interest.
  if (world.state.pending === null) world = { ...world, grantedAt: null, complaint: null, audited: false };
  return { world: prune(world, rules), why, unlocked };
}

/** Null when the history justifies a grant. Written from the requirement, not from the policy. */
function objectionTo(world: World, path: string, person: string | null, rules: DoorRules): string | null {
  const { history, tick } = world;
  const age = ({ at }: Remembered) => (tick - at) * TICK_MS;
  if (path === 'command') {
    const asked = history.some((one) => one.what === 'command' && one.trusted && one.at === tick);
    return asked && rules.remoteUnlock ? null : 'a command without authority';
  }
  if (person === null) return 'nobody';
  const barred = mayEnter(world, person);
  if (barred !== null) return barred;
  const withCode = path !== 'face';
  const codeAge = path === 'face+code' ? rules.secondFactorMs : 0;
  if (withCode) {
    const shown = history.some(
      (one) => one.what === 'code' && one.trusted && one.person === person && age(one) <= codeAge,
    );
    if (!shown) return 'no valid code of this person';
    if (path !== 'face+code') return rules.modes.includes('code') ? null : 'a code alone is not enough here';
  } else if (!rules.modes.includes('face')) return 'a face alone is not enough here';
  const closed = facePathObjection(world, rules);
  if (closed !== null) return closed;
  if (world.unlockedAt !== null && (tick - world.unlockedAt) * TICK_MS < rules.coolDownMs) return 'cool-down';
  const slack = path === 'face+code' ? rules.secondFactorMs : 0;
  const tracks = new Set(history.flatMap(({ track }) => track ?? []));
  const reasons = [...tracks].map((track) => {
    const mine = history.filter((one) => one.track === track && one.trusted);
    if (mine.some(({ what }) => what === 'flat')) return 'a flat picture';
    const alive = mine.some((one) => one.what === 'alive' && age(one) <= rules.sure.activeMaxAgeMs + slack);
    const asksActive = rules.sure.liveness === 'active' || rules.sure.liveness === 'both';
    if (asksActive && !alive) return 'nobody alive';
    const looks = mine.filter((one) => one.what === 'look' && age(one) <= rules.sure.withinMs + slack);
    const oneToOne = rules.claim && path === 'face+code';
    const names = (one: Remembered): boolean => one.person === person || (oneToOne && one.like === person);
    const run = looks.slice(looks.findLastIndex((one) => !names(one)) + 1);
    const [first, last] = [run[0], run.at(-1)];
    if (first === undefined || last === undefined || run.length < rules.sure.looks) return 'too few looks';
    if (age(last) > Math.max(rules.sure.maxAgeMs, slack)) return 'stale evidence';
    if ((last.at - first.at) * TICK_MS < rules.sure.spanMs) return 'looks of one moment';
    const doubts = run.filter(({ doubtful }) => doubtful === true).length;
    const asksPassive = rules.sure.liveness === 'passive' || rules.sure.liveness === 'both';
    if (asksPassive && doubts > run.length - doubts) return 'nobody alive by the passive test';
    return null;
  });
  return reasons.includes(null) ? null : `no sure face (${reasons.join(', ') || 'none seen'})`;
}

function facePathObjection({ history, tick, closedUntil }: World, rules: DoorRules): string | null {
  if (closedUntil !== null && tick * TICK_MS < closedUntil) return 'locked out';
  const spoof = history.some(
    (one) => one.what === 'flat' && one.trusted && (tick - one.at) * TICK_MS < rules.spoofHoldMs,
  );
  return spoof ? 'a spoof in view' : null;
}

function mayEnter({ synchronised, rights }: World, person: string): string | null {
  if (person === 'anna') return rights ? null : 'anna has no right any more';
  if (person === 'carl') return synchronised ? null : 'a schedule by a clock that nobody set';
  return `${person} has no right`;
}

function remember(world: World, seen: Seen, rules: DoorRules): World {
  // What does not count needs no memory: an unlock that rests on it is one without any reason.
  if (!seen.trusted) return world;
  if (seen.what === 'code') return rememberCode(world, seen, rules);
  const flatBefore = world.history.some((one) => one.what === 'flat' && one.track === seen.track);
  // Of a flat track the newest sight is all that counts.
  const before = world.history.filter(
    (one) => seen.what !== 'flat' || one.what !== 'flat' || one.track !== seen.track,
  );
  const after = contradict({ ...world, history: [...before, { ...seen, at: world.tick }] }, seen);
  // Each track's spoof is one failure.
  return seen.what === 'flat' && !flatBefore ? failed(after, rules) : after;
}

function rememberCode(world: World, seen: Seen, rules: DoorRules): World {
  const { tick, claim } = world;
  const { person } = seen;
  if (rules.modes.every((mode) => mode === 'face') || keypadClosed(world)) return world;
  if (person === undefined) {
    const wrong = world.wrong + 1;
    if (wrong < rules.guessBackoff.failures) return { ...world, wrong, wrongAt: tick };
    return { ...world, wrong: 0, wrongAt: tick, keypadUntil: tick * TICK_MS + rules.guessBackoff.firstMs };
  }
  if (mayEnter(world, person) !== null) return world;
  const accepted = { ...world, wrong: 0, wrongAt: null, history: [...world.history, { ...seen, at: tick }] };
  if (rules.modes.includes('code')) return accepted;
  const ended = claim?.contradicted === true ? failed(accepted, rules) : accepted;
  return { ...ended, claim: { person, at: tick, contradicted: false } };
}

function keypadClosed({ keypadUntil, tick }: World): boolean {
  return keypadUntil !== null && tick * TICK_MS < keypadUntil;
}

/** Another face than the one that the shown code is waiting for. */
function contradict(world: World, { like }: Seen): World {
  const { claim } = world;
  if (claim === null || like === undefined || like === claim.person) return world;
  return { ...world, claim: { ...claim, contradicted: true } };
}

/** A code whose face did not come in time. */
function endClaim(world: World, rules: DoorRules): World {
  const { claim, tick } = world;
  if (claim === null || (tick - claim.at) * TICK_MS <= rules.secondFactorMs) return world;
  const ended = { ...world, claim: null };
  return claim.contradicted ? failed(ended, rules) : ended;
}

/** Whoever is removed was never seen: neither their tracks nor their codes count. */
function without(world: World, person: string): World {
  const { history, claim } = world;
  const tracks = new Set(history.filter((one) => one.person === person).flatMap(({ track }) => track ?? []));
  return {
    ...world,
    claim: claim?.person === person ? null : claim,
    history: history.filter(
      (one) =>
        one.what === 'flat' || (one.person !== person && (one.track === undefined || !tracks.has(one.track))),
    ),
  };
}

function failed(world: World, { faceBackoff }: DoorRules): World {
  const failures = world.failures + 1;
  const failedAt = world.tick;
  if (failures < faceBackoff.failures) return { ...world, failures, failedAt };
  // At least the first length; the policy may close it for longer.
  return { ...world, failures: 0, failedAt, closedUntil: world.tick * TICK_MS + faceBackoff.firstMs };
}

/** Forgets what no rule can see any more. A flat track is remembered as long as anything of it is. */
function prune(world: World, rules: DoorRules): World {
  const keepMs = Math.max(rules.sure.withinMs, rules.sure.activeMaxAgeMs) + rules.secondFactorMs;
  const fresh = (one: Remembered) => (world.tick - one.at) * TICK_MS <= keepMs;
  const lasting = new Set(world.history.filter(fresh).flatMap(({ track }) => track ?? []));
  const history = world.history.filter(
    (one) => fresh(one) || (one.what === 'flat' && one.track !== undefined && lasting.has(one.track)),
  );
  const closed = world.closedUntil !== null && world.tick * TICK_MS < world.closedUntil;
  const forgiven =
    !closed &&
    world.failedAt !== null &&
    (world.tick - world.failedAt) * TICK_MS >= rules.faceBackoff.forgetMs;
  const cooling = world.unlockedAt !== null && (world.tick - world.unlockedAt) * TICK_MS < rules.coolDownMs;
  const guessed =
    keypadClosed(world) ||
    (world.wrongAt !== null && (world.tick - world.wrongAt) * TICK_MS < rules.guessBackoff.forgetMs);
  return {
    ...world,
    history,
    failures: forgiven ? 0 : world.failures,
    failedAt: forgiven ? null : world.failedAt,
    closedUntil: closed ? world.closedUntil : null,
    unlockedAt: cooling ? world.unlockedAt : null,
    wrong: guessed ? world.wrong : 0,
    wrongAt: guessed ? world.wrongAt : null,
    keypadUntil: keypadClosed(world) ? world.keypadUntil : null,
  };
}

export function msOf(tick: number): number {
  return EPOCH + tick * TICK_MS;
}

/** The world with every time relative to now, so that what differs only in the hour is one state. */
function keyOf(world: World, horizon: number): string {
  const { tick, state } = world;
  const ms = (at: number | null) =>
    at === null || at === Number.NEGATIVE_INFINITY ? null : Math.max(at - msOf(tick), -horizon * TICK_MS);
  const ticks = (at: number | null) => (at === null ? null : Math.max(at - tick, -horizon));
  // `rounds` only lengthens a lock-out, and the models have one length: their longest is their first.
  const backoff = ({ failures, lastAt, until }: DoorState['faces']) => [failures, ms(lastAt), ms(until)];
  const { pending, claim } = state;
  return JSON.stringify([
    state.tracks
      .map(({ track, looks, active, activeAt, countedSpoof }) =>
        [
          track,
          active,
          ms(activeAt),
          countedSpoof,
          ...looks.map((one) => [
            ...[ms(one.at), one.kind, one.person, one.passive],
            ...[one.claim?.person, one.claim?.similarity],
          ]),
        ].join(' '),
      )
      .sort(),
    claim === null ? null : [claim.person, ms(claim.at), claim.contradicted],
    pending === null
      ? null
      : [pending.grant.path, pending.grant.person, pending.step, ms(pending.grant.validUntil)],
    ms(state.coolUntil),
    ms(state.spoofAt),
    backoff(state.faces),
    backoff(state.guesses),
    world.synchronised,
    world.reloaded,
    world.rights,
    world.history
      .map(({ at, what, person, track, like, doubtful }) =>
        [ticks(at), what, person, track, like, doubtful].join(' '),
      )
      .sort(),
    world.complaint,
    ticks(world.grantedAt),
    world.audited,
    ticks(world.unlockedAt),
    world.failures,
    ticks(world.failedAt),
    world.closedUntil === null ? null : world.closedUntil - tick * TICK_MS,
    world.claim === null ? null : [world.claim.person, ticks(world.claim.at), world.claim.contradicted],
    world.wrong,
    ticks(world.wrongAt),
    world.keypadUntil === null ? null : world.keypadUntil - tick * TICK_MS,
    world.lock,
  ]);
}

function pathTo(node: Node): string[] {
  const names: string[] = [];
  for (let at: Node | null = node; at !== null && at.by !== ''; at = at.from) names.unshift(at.by);
  return names;
}

// ---- the moves -----------------------------------------------------------------------------------------

export interface Sight {
  readonly camera?: string;
  readonly track?: string;
  readonly kind?: Look['kind'];
  /** Whom the face is like when it is compared with that person alone; left out: no door compares. */
  readonly like?: string;
  readonly passive?: number;
}

export function look(person: string | null, more: Sight = {}): Move {
  const { camera = 'porch', track = 't', kind = person === null ? 'unknown' : 'known', passive } = more;
  const spoof = kind === 'spoof';
  const trusted = camera === 'porch';
  const like = spoof ? null : (more.like ?? person);
  const doubtful = passive !== undefined && passive < 0.5;
  const named = person === null || spoof || kind === 'ambiguous' ? {} : { person };
  return {
    name: `${camera} sees ${spoof ? 'a spoof' : (person ?? 'a stranger')}${more.like === undefined ? '' : ` like ${more.like}`} (${track}${doubtful ? ', doubtful' : ''})`,
    sees: {
      what: spoof ? 'flat' : 'look',
      trusted,
      track,
      like,
      ...named,
      ...(doubtful ? { doubtful } : {}),
    },
    input: ({ tick, history, state }) => {
      // One look of a track for each moment: a camera gives no more.
      if (history.some((one) => one.at === tick && one.track === track && one.what !== 'alive')) return null;
      const claim =
        more.like === undefined || state.claim === null
          ? {}
          : { claim: { person: state.claim.person, similarity: state.claim.person === like ? 0.9 : 0.1 } };
      const shot: Look = {
        at: msOf(tick),
        kind,
        person: named.person ?? null,
        similarity: 0.9,
        runnerUp: 0.1,
        quality: 0.9,
        passive: passive ?? null,
        ...claim,
      };
      return { kind: 'looked', camera, track, look: shot };
    },
  };
}

export function alive(state: 'live' | 'not-live', more: { camera?: string; track?: string } = {}): Move {
  const { camera = 'porch', track = 't' } = more;
  const what = state === 'live' ? 'alive' : 'flat';
  return {
    name: `${camera} finds ${track} ${state}`,
    sees: { what, trusted: camera === 'porch', track },
    input: ({ tick, history }) => {
      if (history.some((one) => one.at === tick && one.track === track && one.what === what)) return null;
      return { kind: 'liveness', camera, track, state, at: msOf(tick) };
    },
  };
}

export function code(person: string | null, source = 'keypad'): Move {
  return {
    name: `${source} gets the code of ${person ?? 'nobody'}`,
    sees: { what: 'code', trusted: source === 'keypad', ...(person === null ? {} : { person }) },
    input: ({ tick, history }) => {
      if (
        history.some((one) => one.at === tick && one.what === 'code' && one.person === (person ?? undefined))
      )
        return null;
      return { kind: 'credential', request: 'r', source, method: 'code', person };
    },
  };
}

/** `fresh` false: its age went by a wall clock that is wrong. */
export function command(authorised: boolean, fresh = true): Move {
  return {
    name: `a command${authorised ? '' : ' without authority'}${fresh ? '' : ' of an unknown age'}`,
    sees: { what: 'command', trusted: authorised && fresh },
    input: ({ tick, history }) => {
      if (history.some((one) => one.at === tick && one.what === 'command')) return null;
      return { kind: 'command', request: 'r', actor: 'mqtt', authorised, fresh };
    },
  };
}

/** The store and the lock answer, fail or stay silent; an answer may also come for something long gone. */
export const FAULTS: readonly Move[] = [
  {
    name: 'the row is written',
    input: ({ state }) =>
      state.pending?.step === 'auditing'
        ? { kind: 'audited', grant: state.pending.grant.id, ok: true }
        : null,
  },
  {
    name: 'the row cannot be written',
    input: ({ state }) =>
      state.pending?.step === 'auditing'
        ? { kind: 'audited', grant: state.pending.grant.id, ok: false }
        : null,
  },
  {
    name: 'a row of another grant is written',
    input: ({ state }) => (state.pending === null ? null : { kind: 'audited', grant: 'g-other', ok: true }),
  },
  {
    name: 'the lock obeys',
    input: ({ state }) =>
      state.pending?.step === 'unlocking'
        ? { kind: 'lockAnswered', grant: state.pending.grant, ok: true, code: null }
        : null,
  },
  {
    name: 'the lock fails',
    input: ({ state }) =>
      state.pending?.step === 'unlocking'
        ? { kind: 'lockAnswered', grant: state.pending.grant, ok: false, code: 'door.lock-silent' }
        : null,
  },
  {
    name: 'the lock answers for a grant of before',
    input: ({ state }) =>
      state.pending === null
        ? null
        : { kind: 'lockAnswered', grant: { ...state.pending.grant, id: 'g-other' }, ok: true, code: null },
  },
  {
    name: 'vision starts again',
    input: ({ state }) => (state.tracks.length === 0 ? null : { kind: 'forget' }),
  },
  {
    name: 'anna is removed',
    input: ({ history }) => (history.length === 0 ? null : { kind: 'personRemoved', person: 'anna' }),
  },
  { name: 'nothing', input: () => ({ kind: 'tick' }) },
];

export const ADVANCE: Move = {
  name: 'half a second',
  change: (world) => ({ ...world, tick: world.tick + 1, lock: 'locked' }),
};
export const CLOCK: Move = {
  name: 'the clock gains or loses its source',
  change: (world) => ({ ...world, synchronised: !world.synchronised }),
};
/** Other rules, as {@link Door.change} takes them over: nothing that was seen or granted under the old ones counts. */
export const RELOAD: Move = {
  name: 'the configuration is read again',
  first: (world) => ({
    ...world,
    reloaded: !world.reloaded,
    complaint: world.grantedAt === null ? null : 'a grant by rules that hold no longer',
  }),
  input: () => ({ kind: 'forget' }),
};

/** A rule of the access policy goes or comes back; nobody tells the door. */
export const RIGHTS: Move = {
  name: 'anna loses or gains her right',
  change: (world) => ({ ...world, rights: !world.rights }),
};
