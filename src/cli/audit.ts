import { type CommandIo, type ExitCode, parse, usage } from './command.js';
import { withHouse } from './house.js';
import { COMMON_OPTIONS } from './settings.js';

const PAGE = 1000;

export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const [verb, ...rest] = argv;
  if (verb === 'verify') return verify(rest, io);
  if (verb === 'export') return exportRows(rest, io);
  throw usage(`audit takes verify or export (is ${verb ?? 'nothing'})`);
}

async function verify(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values } = parse(argv, COMMON_OPTIONS);
  const state = await withHouse(io, values, (house) => house.verifyAudit());
  io.print(
    state,
    state.ok
      ? `${state.rows} rows, whole; head ${state.head}`
      : `broken at row ${state.brokenAt}: it was changed, or one before it was removed`,
  );
  return state.ok ? 0 : 1;
}

/** One row a line; with --json one document. */
async function exportRows(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values } = parse(argv, COMMON_OPTIONS);
  const rows = await withHouse(io, values, async (house) => {
    const all = [];
    for (let after = 0; ; ) {
      const page = await house.exportAudit({ after, limit: PAGE });
      all.push(...page);
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return all;
      after = last.seq;
    }
  });
  io.print({ rows }, rows.map((row) => JSON.stringify(row)).join('\n'));
  return 0;
}
