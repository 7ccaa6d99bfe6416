import { Presets, SingleBar } from 'cli-progress';
import { createLogger } from '../lib/log.js';
import type { CommandIo } from './command.js';

/** The real outside: standard output for the answer, standard error for logs and bars. */
export function processIo(options: { json: boolean; verbose: boolean; signal: AbortSignal }): CommandIo {
  const line = (text: string) => {
    process.stdout.write(`${text}\n`);
  };
  const log = createLogger(options.verbose ? 'debug' : 'info');
  return {
    json: options.json,
    env: process.env,
    log,
    setLogLevel: (level) => {
      if (!options.verbose) log.level = level;
    },
    signal: options.signal,
    line,
    print: (document, human) => line(options.json ? JSON.stringify(document) : human),
    progress: (label, total) => {
      if (!process.stderr.isTTY || total < 2) return { advance: () => {}, grow: () => {}, stop: () => {} };
      const bar = new SingleBar(
        { format: `${label} {bar} {value}/{total} {eta_formatted}`, stream: process.stderr },
        Presets.shades_classic,
      );
      bar.start(total, 0);
      return {
        advance: (by = 1) => bar.increment(by),
        grow: (by) => bar.setTotal(bar.getTotal() + by),
        stop: () => bar.stop(),
      };
    },
  };
}
