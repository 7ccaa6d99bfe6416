import { type ParseArgsConfig, parseArgs } from 'node:util';
import { FacedError } from '../domain/errors.js';
import type { Logger, LogLevel } from '../lib/log.js';

/** What a command has of the outside world; tests give their own. */
export interface CommandIo {
  /** True with --json: then exactly one JSON document goes to standard output (NDJSON for `run`). */
  readonly json: boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Logger;
  /** What the configuration says; --verbose is stronger. */
  setLogLevel(level: LogLevel): void;
  /** Aborted by SIGTERM and SIGINT. */
  readonly signal: AbortSignal;
  /** One answer in both forms: the document with --json, else the text. */
  print(document: object, human: string): void;
  /** One line of standard output, at once. */
  line(text: string): void;
  /** A bar on standard error, at a terminal only. */
  progress(label: string, total: number): Progress;
}

export interface Progress {
  advance(by?: number): void;
  /** So much more is to be done than was known before. */
  grow(by: number): void;
  stop(): void;
}

/** 0 done, 1 failed, 2 wrong use. */
export type ExitCode = 0 | 1 | 2;

export interface CommandSpec {
  /** As typed: `people rename`. */
  readonly name: string;
  /** What follows the name: `NAME PATH…`. */
  readonly synopsis: string;
  readonly summary: string;
  run(argv: readonly string[], io: CommandIo): Promise<ExitCode>;
}

type Options = NonNullable<ParseArgsConfig['options']>;

/** Parses strictly; whatever does not fit is wrong use. */
export function parse<const O extends Options>(argv: readonly string[], options: O) {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw usage(error instanceof Error ? error.message : String(error));
  }
}

export function usage(message: string, fix = 'faced help lists the commands and what they take'): FacedError {
  return new FacedError('usage.invalid', message, { fix });
}

export function exitCodeOf(error: FacedError): ExitCode {
  return error.code.startsWith('usage.') ? 2 : 1;
}
