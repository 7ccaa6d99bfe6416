import { writeFile } from 'node:fs/promises';
import { checkup, reportOf } from '../checkup.js';
import type { Check } from '../domain/check.js';
import { type CommandIo, type ExitCode, parse, usage } from './command.js';
import { withHouse } from './house.js';
import { COMMON_OPTIONS, settings } from './settings.js';

export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, {
    ...COMMON_OPTIONS,
    report: { type: 'boolean', default: false },
  });
  const [file, ...more] = positionals;
  if (more.length > 0 || (file !== undefined && !values.report))
    throw usage('doctor takes nothing, or --report and one FILE');
  const found = settings(io, values);
  const checks = await checkup(found, {
    env: io.env,
    signal: io.signal,
    asksPrograms: true,
    gallery: () =>
      withHouse(io, values, async (house) => ({
        people: await house.people(),
        samples: await house.reembedding(),
      })),
  });
  if (values.report) {
    const document = await reportOf(found, checks);
    const text = JSON.stringify(document, null, 2);
    if (file === undefined) io.print(document, text);
    else {
      await writeFile(file, `${text}\n`, { mode: 0o600, flag: 'wx' }).catch(
        (error: NodeJS.ErrnoException) => {
          throw error.code === 'EEXIST' ? usage(`${file} is there already`, 'Name another file.') : error;
        },
      );
      io.print({ file }, `${file}: figures of this board, and nothing of the house (docs/boards.md)`);
    }
    return 0;
  }
  io.print({ checks }, checks.map(line).join('\n'));
  return checks.every(({ ok }) => ok) ? 0 : 1;
}

function line({ name, ok, detail, fix }: Check): string {
  return `${ok ? 'ok  ' : 'FAIL'} ${name.padEnd(8)} ${detail}${fix === undefined ? '' : `\n              → ${fix}`}`;
}
