import { createHash } from 'node:crypto';
import type {
  AuditEntry,
  AuditFilter,
  AuditRow,
  AuditState,
  HeadClaim,
  SignedHead,
} from '../pipeline/ports.js';
import { AuditEnd, type ChainPlace } from './audit-end.js';
import { AuditKey, signedBy } from './audit-key.js';
import type { Db } from './database.js';
import { bounded, PAGE_LIMIT } from './event-log.js';
import type { Sealer } from './seal.js';

interface Row {
  readonly seq: number;
  readonly time: number;
  readonly kind: string;
  readonly actor: string;
  readonly detail: string;
  readonly previous: Buffer;
  readonly hash: Buffer;
}

interface Cut {
  readonly seq: number;
  readonly hash: Buffer;
  readonly cut_at: number;
  readonly key: Buffer;
  readonly sig: Buffer;
}

type Problem = NonNullable<AuditState['problem']>;

const START = Buffer.alloc(32);
const DAY_MS = 86_400_000;
/** Rows deleted in one transaction: a long chain must not hold up a search. */
const CUT_ROWS = 2_000;

/**
 * Who did what, in a chain of hashes: a row that is changed, taken out or put in later breaks it. Its retention cuts
 * the chain at the beginning and leaves a signed marker there, which is where the verification then begins.
 */
export class Audit {
  readonly #db: Db;
  readonly #key: AuditKey;
  readonly #end: AuditEnd;
  /** The walk or cut that is under way: a chain that is being cut cannot be walked. */
  #busy: Promise<unknown> = Promise.resolve();

  constructor(db: Db, sealer: Sealer) {
    this.#db = db;
    this.#key = AuditKey.of(db, sealer);
    this.#end = new AuditEnd(db, sealer);
    this.#end.begin(this.#last() ?? { seq: 0, hash: START });
  }

  append({ kind, actor, detail }: AuditEntry, now: number): void {
    const last = this.#last();
    const body = { seq: (last?.seq ?? 0) + 1, time: now, kind, actor, detail: JSON.stringify(detail) };
    const previous = last?.hash ?? START;
    const hash = hashOf(body, previous);
    this.#db.transaction(() => {
      this.#db
        .prepare(`INSERT INTO audit (seq, time, kind, actor, detail, previous, hash)
           VALUES (?, ?, ?, ?, ?, ?, ?)`)
        .run(body.seq, body.time, kind, actor, body.detail, previous, hash);
      // An end that the chain does not hold any more stays where it is: a new row must not hide that others are gone.
      if (this.#holds(this.#end.read())) this.#end.move({ seq: body.seq, hash });
    })();
  }

  rows({ after, limit, about, kind }: AuditFilter): AuditRow[] {
    return this.#db
      .prepare<unknown[], Row>(
        `SELECT * FROM audit WHERE seq > ? AND (? IS NULL OR instr(detail, ?) > 0) AND (? IS NULL OR kind = ?)
         ORDER BY seq LIMIT ?`,
      )
      .all(after ?? 0, about ?? null, about ?? null, kind ?? null, kind ?? null, bounded(limit))
      .map(({ detail, previous, hash, ...rest }) => ({
        ...rest,
        detail: JSON.parse(detail) as AuditEntry['detail'],
        previous: previous.toString('hex'),
        hash: hash.toString('hex'),
      }));
  }

  /** The newest row's hash, signed; null while there is no row. */
  head(now: number): SignedHead | null {
    const last = this.#last();
    if (last === undefined) return null;
    const head = {
      v: 1,
      seq: last.seq,
      hash: last.hash.toString('hex'),
      time: new Date(now).toISOString(),
    } as const;
    return {
      ...head,
      key: this.#key.public.toString('base64url'),
      sig: this.#key.sign(headText(head)).toString('base64url'),
    };
  }

  /** In pages, and gives way between them: a long chain must not hold up a search. */
  verify(claim?: HeadClaim): Promise<AuditState> {
    return this.#alone(() => this.#walk(claim));
  }

  /** Cuts off what is older than so many whole days; answers how many rows went. The newest row always stays. */
  prune(keepDays: number, now: number): Promise<number> {
    return this.#alone(() => this.#cutOff(keepDays, now));
  }

  async #walk(claim: HeadClaim | undefined): Promise<AuditState> {
    const cut = this.#cut();
    const start = { previous: cut?.hash ?? START, seq: cut?.seq ?? 0 };
    const state = {
      cut: cut === undefined ? null : { seq: cut.seq, at: cut.cut_at },
      key: this.#key.public.toString('base64url'),
    };
    const end = this.#end.read();
    let { previous, seq } = start;
    let rows = 0;
    let ended = end !== null && end.seq <= start.seq;
    let claimed = claim !== undefined && fits(claim, start.seq, start.previous);
    const answer = (problem: Problem | null, brokenAt: number | null): AuditState => ({
      ok: problem === null,
      rows,
      head: seq === 0 ? null : previous.toString('hex'),
      brokenAt,
      problem,
      ...state,
    });
    if (cut !== undefined && !this.#mine(cut)) return answer('cut-forged', cut.seq);
    for (;;) {
      const page = this.#page(seq, PAGE_LIMIT);
      for (const row of page) {
        const whole =
          row.seq === seq + 1 && row.previous.equals(previous) && row.hash.equals(hashOf(row, previous));
        if (!whole) return answer('row-changed', row.seq);
        previous = row.hash;
        seq = row.seq;
        rows += 1;
        if (claim !== undefined && fits(claim, seq, previous)) claimed = true;
        if (end?.seq === seq && end.hash.equals(previous)) ended = true;
      }
      if (page.length === 0) break;
      await new Promise((resolve) => setImmediate(resolve));
    }
    const problem = claim === undefined ? null : this.#headProblem(claim, claimed, start.seq);
    return answer(problem ?? (ended ? null : 'end-missing'), null);
  }

  async #cutOff(keepDays: number, now: number): Promise<number> {
    const before = Math.floor(now / DAY_MS) * DAY_MS - keepDays * DAY_MS;
    const firstKept = this.#db
      .prepare<[number], number>(
        'SELECT coalesce((SELECT min(seq) FROM audit WHERE time >= ?), (SELECT max(seq) FROM audit), 0)',
      )
      .pluck()
      .get(before) as number;
    const upTo = firstKept - 1;
    if (upTo > (this.#cut()?.seq ?? 0)) this.#mark(upTo, now);
    let gone = 0;
    for (;;) {
      const deleted = this.#deleteCut();
      gone += deleted;
      if (deleted < CUT_ROWS) return gone;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #mark(seq: number, now: number): void {
    const { hash } = this.#page(seq - 1, 1)[0] ?? {};
    if (hash === undefined) return;
    const sig = this.#key.sign(cutText({ seq, hash, cut_at: now }));
    this.#db.transaction(() => {
      const first = (this.#cut()?.seq ?? 0) + 1;
      this.#db
        .prepare(
          `INSERT INTO audit_cut (one, seq, hash, cut_at, key, sig) VALUES (1, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
           SET seq = excluded.seq, hash = excluded.hash, cut_at = excluded.cut_at, key = excluded.key, sig = excluded.sig`,
        )
        .run(seq, hash, now, this.#key.public, sig);
      const detail = { from: first, to: seq, hash: hash.toString('hex'), sig: sig.toString('base64url') };
      this.append({ kind: 'audit.cut', actor: 'daemon', detail }, now);
    })();
  }

  #deleteCut(): number {
    return this.#db
      .prepare(
        `DELETE FROM audit WHERE seq IN
         (SELECT seq FROM audit WHERE seq <= (SELECT seq FROM audit_cut) ORDER BY seq LIMIT ${CUT_ROWS})`,
      )
      .run().changes;
  }

  #headProblem(claim: HeadClaim, found: boolean, cutSeq: number): Problem | null {
    const { signed } = claim;
    if (signed !== undefined) {
      const key = Buffer.from(signed.key, 'base64url');
      const ours = key.equals(this.#key.public);
      if (!ours || !signedBy(key, headText(signed), Buffer.from(signed.sig, 'base64url')))
        return 'head-forged';
    }
    if (found) return null;
    return claim.seq !== undefined && claim.seq < cutSeq ? 'head-too-old' : 'head-missing';
  }

  /** Whether the chain goes on from there. A version before this one moves no end: what it wrote may be beyond it. */
  #holds(end: ChainPlace | null): boolean {
    if (end === null) return false;
    if (end.seq <= (this.#cut()?.seq ?? 0)) return true;
    return this.#page(end.seq - 1, 1).some(({ seq, hash }) => seq === end.seq && hash.equals(end.hash));
  }

  #mine(cut: Cut): boolean {
    return cut.key.equals(this.#key.public) && signedBy(cut.key, cutText(cut), cut.sig);
  }

  #alone<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = this.#busy.then(work);
    this.#busy = turn.catch(() => {});
    return turn;
  }

  #last(): Pick<Row, 'seq' | 'hash'> | undefined {
    return this.#db
      .prepare<[], Pick<Row, 'seq' | 'hash'>>('SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1')
      .get();
  }

  #cut(): Cut | undefined {
    return this.#db.prepare<[], Cut>('SELECT seq, hash, cut_at, key, sig FROM audit_cut').get();
  }

  #page(after: number, limit: number): Row[] {
    return this.#db
      .prepare<[number, number], Row>('SELECT * FROM audit WHERE seq > ? ORDER BY seq LIMIT ?')
      .all(after, limit);
  }
}

/** SHA-256 over the JSON array [previous (hex), seq, time, kind, actor, detail (the stored JSON text)] in UTF-8. */
function hashOf(row: Pick<Row, 'seq' | 'time' | 'kind' | 'actor' | 'detail'>, previous: Buffer): Buffer {
  const form = JSON.stringify([previous.toString('hex'), row.seq, row.time, row.kind, row.actor, row.detail]);
  return createHash('sha256').update(form).digest();
}

/** What is signed of a head. */
function headText({ seq, time, hash }: Pick<SignedHead, 'seq' | 'time' | 'hash'>): string {
  return JSON.stringify(['faced/audit/head/1', seq, time, hash]);
}

function cutText({ seq, hash, cut_at }: Pick<Cut, 'seq' | 'hash' | 'cut_at'>): string {
  return JSON.stringify(['faced/audit/cut/1', seq, cut_at, hash.toString('hex')]);
}

function fits(claim: HeadClaim, seq: number, hash: Buffer): boolean {
  return hash.toString('hex') === claim.hash && (claim.seq === undefined || claim.seq === seq);
}
