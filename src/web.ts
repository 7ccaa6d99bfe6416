/** The HTTP interface, and the watch over what people should hear of: from the configuration to parts. */
import type { Config } from './config/index.js';
import { FacedError } from './domain/errors.js';
import type { HttpParts, MachineLook } from './http/parts.js';
import type { HttpServer } from './http/server.js';
import type { Logger } from './lib/log.js';
import { Notices } from './pipeline/notices.js';
import { type MachineProblem, machineProblems, machineState } from './system/machine.js';

interface Problem {
  readonly code: string;
  readonly message: string;
}

/** The machine is looked at so often: temperatures and disks do not move faster. */
const LOOK_MS = 10_000;
/** Shares of the memory that are free: below the first it is low, below the second critical. */
const LOW_MEMORY = 0.1;
const CRITICAL_MEMORY = 0.04;

/** Machine, cameras, broker, doors: what is wrong is told as notices, once when it begins and once when it is over. */
export class HouseWatch {
  readonly notices = new Notices();
  readonly #stateDir: string;
  readonly #log: Logger;
  #machine: Promise<MachineLook> | undefined;
  #lookedAt = 0;
  #problems: readonly MachineProblem[] = [];

  constructor({ stateDir, log }: { stateDir: string; log: Logger }) {
    this.#stateDir = stateDir;
    this.#log = log;
  }

  /** What is wrong with the machine, as of the last look. */
  problems(): readonly Problem[] {
    return this.#problems;
  }

  machine(): Promise<MachineLook> {
    const now = performance.now();
    if (this.#machine === undefined || now - this.#lookedAt > LOOK_MS) {
      this.#lookedAt = now;
      this.#machine = this.#look();
    }
    return this.#machine;
  }

  /** To be called with each report of the daemon's health. */
  reported(problems: readonly Problem[], doors: readonly { door: string; state: string }[]): void {
    this.machine().catch((error: unknown) =>
      this.#log.warn({ error: String(error) }, 'the machine could not be looked at'),
    );
    const open = doors
      .filter(({ state }) => state === 'open too long')
      .map(({ door }) => ({ code: 'door.open-too-long', message: `${door}: the door stands open` }));
    this.notices.problems([...problems, ...open]);
  }

  async #look(): Promise<MachineLook> {
    const state = await machineState(this.#stateDir);
    this.#problems = machineProblems(state, new Set(this.#problems.map(({ code }) => code)));
    const { memoryFree, memoryTotal } = state;
    const share = memoryFree === null || memoryTotal === null ? null : memoryFree / memoryTotal;
    const level = share === null ? null : share < CRITICAL_MEMORY ? 2 : share < LOW_MEMORY ? 1 : 0;
    return { ...state, memoryLevel: level };
  }
}

export interface WebPlace {
  readonly config: Config;
  readonly stateDir: string;
}

/**
 * The HTTP interface, when the configuration offers it. It is loaded here and not before: the daemon watches meanwhile.
 * A door does without it: what hinders it is in the log, and nothing else stops.
 */
export async function openHttp(
  { config, stateDir }: WebPlace,
  parts: HttpParts,
  { version, signal }: { version: string; signal: AbortSignal },
): Promise<HttpServer | null> {
  const { enabled, host, port, names, trustedProxies, maxUploadMb, cert, key } = config.http;
  if (!enabled) return null;
  const { HttpServer: Server } = await import('./http/server.js');
  const server = new Server(
    {
      ...{ host, port, names, trustedProxies, version, stateDir, device: config.device },
      maxUploadBytes: maxUploadMb * 2 ** 20,
      certificate: cert === null || key === null ? null : { certFile: cert, keyFile: key },
    },
    parts,
  );
  try {
    await server.start(signal);
    return server;
  } catch (thrown) {
    await server.stop();
    if (signal.aborted) return null;
    const { code, message, fix } = FacedError.from(thrown);
    parts.log.error({ code, fix }, `there is no HTTP interface: ${message}`);
    return null;
  }
}
