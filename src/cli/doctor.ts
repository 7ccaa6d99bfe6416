import { checkup } from '../checkup.js';
import type { Check } from '../system/doctor.js';
import { type CommandIo, type ExitCode, parse } from './command.js';
import { withHouse } from './house.js';
import { COMMON_OPTIONS, settings } from './settings.js';

export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values } = parse(argv, COMMON_OPTIONS);
  const checks = await checkup(settings(io, values), {
    env: io.env,
    signal: io.signal,
    gallery: () =>
      withHouse(io, values, async (house) => ({
        people: await house.people(),
        samples: await house.reembedding(),
      })),
  });
  io.print({ checks }, checks.map(line).join('\n'));
  return checks.every(({ ok }) => ok) ? 0 : 1;
}

function line({ name, ok, detail, fix }: Check): string {
  return `${ok ? 'ok  ' : 'FAIL'} ${name.padEnd(8)} ${detail}${fix === undefined ? '' : `\n              → ${fix}`}`;
}
