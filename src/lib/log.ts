import { writeSync } from 'node:fs';
import { type Level, pino } from 'pino';

/** Logs go to standard error; standard output belongs to a command's answer. No name, vector or payload at info. */
export interface Logger {
  debug(details: object, message: string): void;
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
  child(bindings: object): Logger;
}

export type LogLevel = Extract<Level, 'debug' | 'info' | 'warn' | 'error'>;

/** Where lines of JSON, one an entry, go. */
export interface LogStream {
  write(line: string): void;
}

export interface RootLogger extends Logger {
  /** Children that were made before keep their own. */
  level: string;
}

export function createLogger(level: LogLevel, stream: LogStream = new TextStream(process.env)): RootLogger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  );
}

/** Priorities of sd-daemon(3): the journal takes them from the beginning of a line. */
const PRIORITIES: Readonly<Record<string, number>> = { debug: 7, info: 6, warn: 4, error: 3 };

/** One readable line an entry: `time level message key=value`; for the journal its priority and no time, since it has its own. */
class TextStream implements LogStream {
  readonly #journal: boolean;

  constructor(env: NodeJS.ProcessEnv) {
    this.#journal = env.JOURNAL_STREAM !== undefined;
  }

  write(line: string): void {
    const { time, level, msg, ...details } = JSON.parse(line) as Record<string, unknown>;
    const name = String(level);
    const head = this.#journal
      ? `<${PRIORITIES[name] ?? 6}>`
      : `${String(time).slice(0, 19).replace('T', ' ')} ${name.padEnd(5)} `;
    const tail = Object.entries(details).map(
      ([key, value]) =>
        ` ${key}=${typeof value === 'string' && !/[\s="]/.test(value) ? value : JSON.stringify(value)}`,
    );
    try {
      writeSync(2, `${head}${String(msg)}${tail.join('')}\n`);
    } catch {
      // A full or closed pipe must not end the daemon: the line is lost, the work goes on.
    }
  }
}

/** Says nothing: for tests and for commands whose answer is all that matters. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};
