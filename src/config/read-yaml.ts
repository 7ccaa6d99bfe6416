import { readFileSync, statSync } from 'node:fs';
import { LineCounter, parseDocument } from 'yaml';
import { FacedError } from '../domain/errors.js';

const MAX_BYTES = 1024 * 1024;
/** Each use of an alias counts with what it stands for, so that nine lines cannot grow to gigabytes. */
const MAX_ALIASES = 100;

/** The file's content as plain data: `{}` when it is empty. Throws `config.unreadable` or `config.invalid`. */
export function readYamlFile(path: string): unknown {
  return parseYaml(readText(path), path);
}

function readText(path: string): string {
  try {
    const { size } = statSync(path);
    if (size > MAX_BYTES)
      throw new FacedError(
        'config.unreadable',
        `${path} has ${size} bytes; a configuration has at most 1 MB.`,
      );
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof FacedError) throw error;
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new FacedError('config.unreadable', `${path} cannot be read (${reason}).`, {
      cause: error,
      fix: 'Check the path and its permissions.',
    });
  }
}

/** @param name how the text is called in errors */
export function parseYaml(text: string, name: string): unknown {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    strict: true,
    uniqueKeys: true,
    prettyErrors: false,
    lineCounter,
  });
  // An unknown tag is only a warning to the parser; here it is a mistake.
  const problems = [...document.errors, ...document.warnings].map((problem) => {
    const { line, col } = lineCounter.linePos(problem.pos[0]);
    return `  line ${line}, column ${col}: ${problem.message}`;
  });
  if (problems.length > 0)
    throw new FacedError('config.invalid', `${name} is not YAML that can be used:\n${problems.join('\n')}`);
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES }) ?? {};
  } catch (error) {
    throw new FacedError('config.invalid', `${name} cannot be used: ${reasonOf(error)}.`, { cause: error });
  }
}

function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return /alias/i.test(message) ? 'its aliases (*name) stand for too much' : message;
}
