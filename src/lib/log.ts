import { type DestinationStream, destination, type Level, pino } from 'pino';

/** Logs go to standard error; standard output belongs to a command's answer. No name, vector or payload at info. */
export interface Logger {
  debug(details: object, message: string): void;
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
  child(bindings: object): Logger;
}

export type LogLevel = Extract<Level, 'debug' | 'info' | 'warn' | 'error'>;

export function createLogger(
  level: LogLevel,
  stream: DestinationStream = destination({ fd: 2, sync: true }),
): Logger {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, stream);
}

/** Says nothing: for tests and for commands whose answer is all that matters. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};
