import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FacedError } from '../domain/errors.js';
import { ROOT } from '../lib/program.js';
import type { CommandIo, ExitCode } from './command.js';
import { exitCodeOf } from './command.js';
import { COMMANDS, findCommand, help } from './commands.js';
import { processIo } from './io.js';

/** Flags that every command takes; they may stand anywhere before a lone `--`. */
function takeGlobals(argv: readonly string[]) {
  const end = argv.indexOf('--') === -1 ? argv.length : argv.indexOf('--');
  const flags = new Set(argv.slice(0, end).filter((word) => GLOBAL_FLAGS.has(word)));
  return { flags, rest: argv.filter((word, index) => index >= end || !GLOBAL_FLAGS.has(word)) };
}

const GLOBAL_FLAGS = new Set(['--json', '--help', '-h', '--version', '--verbose']);

/** One command from its words to its exit code; `abort` ends it as a signal does. Errors are printed, never thrown. */
export async function program(argv: readonly string[], abort: AbortController): Promise<ExitCode> {
  const { flags, rest } = takeGlobals(argv);
  const json = flags.has('--json');
  // A reader that went away (`faced run | head`) ends the command like a signal.
  process.stdout.on('error', () => abort.abort('SIGPIPE'));
  const io = processIo({ json, verbose: flags.has('--verbose'), signal: abort.signal });
  try {
    return await dispatch({ flags, rest, io });
  } catch (thrown) {
    if (abort.signal.aborted)
      return fail(new FacedError('interrupted', 'interrupted before it was done'), io);
    return fail(FacedError.from(thrown), io);
  }
}

async function dispatch({
  flags,
  rest,
  io,
}: {
  flags: Set<string>;
  rest: readonly string[];
  io: CommandIo;
}): Promise<ExitCode> {
  if (flags.has('--version')) {
    const manifest: unknown = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    const version =
      manifest instanceof Object && 'version' in manifest ? String(manifest.version) : 'unknown';
    io.print({ version }, version);
    return 0;
  }
  const found = findCommand(rest);
  if (rest[0] === 'help' || rest.length === 0 || flags.has('--help') || flags.has('-h')) {
    const about =
      flags.has('--help') || flags.has('-h') ? found?.command : findCommand(rest.slice(1))?.command;
    io.print(
      { commands: COMMANDS.map(({ name, synopsis, summary }) => ({ name, synopsis, summary })) },
      help(about),
    );
    const asked = rest.length > 0 || flags.has('--help') || flags.has('-h');
    return asked ? 0 : 2;
  }
  if (found === undefined) {
    throw new FacedError('usage.invalid', `there is no command "${rest[0]}"`, {
      fix: `the commands are ${COMMANDS.map(({ name }) => name).join(', ')}`,
    });
  }
  return found.command.run(found.rest, io);
}

function fail(error: FacedError, io: CommandIo): ExitCode {
  if (io.json) io.line(JSON.stringify({ error }));
  process.stderr.write(
    `faced: ${error.message} (${error.code})\n${error.fix === undefined ? '' : `       ${error.fix}\n`}`,
  );
  if (error.code === 'internal') io.log.debug({ err: error.cause }, 'a defect');
  return exitCodeOf(error);
}
