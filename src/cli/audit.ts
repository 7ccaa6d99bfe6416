import { readFile } from 'node:fs/promises';
import type { AuditFilter, AuditRow, AuditState, HeadClaim, SignedHead } from '../pipeline/ports.js';
import { type CommandIo, type ExitCode, parse, usage } from './command.js';
import { withHouse } from './house.js';
import { COMMON_OPTIONS } from './settings.js';

const PAGE = 1000;

export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const [verb, ...rest] = argv;
  if (verb === 'verify') return verify(rest, io);
  if (verb === 'export') return exportRows(rest, io);
  if (verb === 'head') return head(rest, io);
  throw usage(`audit takes verify, export or head (is ${verb ?? 'nothing'})`);
}

async function verify(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values } = parse(argv, { ...COMMON_OPTIONS, head: { type: 'string' } });
  const claim = values.head === undefined ? undefined : await claimOf(values.head);
  const state = await withHouse(io, values, (house) => house.verifyAudit(claim));
  io.print(state, sentence(state, claim));
  return state.ok ? 0 : 1;
}

/** The newest row, signed, as `audit/head` publishes it: to be kept elsewhere. */
async function head(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values } = parse(argv, COMMON_OPTIONS);
  const signed = await withHouse(io, values, (house) => house.auditHead());
  io.print(signed ?? {}, signed === null ? 'there is no row yet' : JSON.stringify(signed));
  return 0;
}

/** One row a line; with --json one document. */
async function exportRows(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values } = parse(argv, { ...COMMON_OPTIONS, about: { type: 'string' }, kind: { type: 'string' } });
  const { about, kind } = values;
  const filter: Omit<AuditFilter, 'after'> = {
    limit: PAGE,
    ...(about === undefined ? {} : { about }),
    ...(kind === undefined ? {} : { kind }),
  };
  const rows = await withHouse(io, values, async (house) => {
    const all: AuditRow[] = [];
    for (let after = 0; ; ) {
      const page = await house.exportAudit({ ...filter, after });
      all.push(...page);
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return all;
      after = last.seq;
    }
  });
  io.print({ rows }, rows.map((row) => JSON.stringify(row)).join('\n'));
  return 0;
}

/** A hash, `SEQ:HASH`, the document of `audit/head`, or a file with one of them. */
async function claimOf(text: string): Promise<HeadClaim> {
  const direct = claimIn(text);
  if (direct !== undefined) return direct;
  const content = await readFile(text, 'utf8').catch(() => undefined);
  const found = content === undefined ? undefined : claimIn(content.trim());
  if (found !== undefined) return found;
  throw usage(
    '--head takes a hash (64 hexadecimal digits), SEQ:HASH, the JSON of audit/head, or a file with one of them',
  );
}

function claimIn(text: string): HeadClaim | undefined {
  const plain = /^(?:(\d{1,15}):)?([0-9a-f]{64})$/i.exec(text);
  if (plain !== null) {
    const [, seq, hash = ''] = plain;
    return { hash: hash.toLowerCase(), ...(seq === undefined ? {} : { seq: Number(seq) }) };
  }
  try {
    const signed = JSON.parse(text) as Partial<SignedHead> | null;
    const { v, seq, hash, time, key, sig } = signed ?? {};
    if (v !== 1 || typeof seq !== 'number' || typeof hash !== 'string') return undefined;
    if (typeof time !== 'string' || typeof key !== 'string' || typeof sig !== 'string') return undefined;
    return { hash, seq, signed: { v, seq, hash, time, key, sig } };
  } catch {
    return undefined;
  }
}

const PROBLEMS: Readonly<Record<NonNullable<AuditState['problem']>, (state: AuditState) => string>> = {
  'row-changed': ({ brokenAt }) => `broken at row ${brokenAt}: it was changed, or one before it was removed`,
  'cut-forged': ({ brokenAt }) =>
    `the beginning, up to row ${brokenAt}, was not cut off by faced: its marker bears no signature of ours`,
  'head-missing': () =>
    'the chain does not hold the head that was given: it was written anew, cut off at its end, or restored from a backup',
  'head-too-old': ({ cut }) =>
    `the head that was given is older than row ${cut?.seq}, where the retention has cut the chain: give a newer one`,
  'end-missing': () => 'the end of the chain was taken off: rows that faced wrote last are not there',
  'head-forged': () => 'the head that was given is not signed with the key of this chain',
};

function sentence(state: AuditState, claim: HeadClaim | undefined): string {
  if (state.problem !== null) return PROBLEMS[state.problem](state);
  const cut = state.cut === null ? '' : `, after a cut by the retention at row ${state.cut.seq}`;
  const held = claim === undefined ? '' : '; it holds the head that was given';
  return `${state.rows} rows, whole${cut}; head ${state.head}${held}`;
}
