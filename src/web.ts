/** The HTTP interface, and the watch over what people should hear of: from the configuration to parts. */
import { join } from 'node:path';
import { ulid } from 'ulid';
import { type Config, editConfig, isFileOnly, SCHEMA, settingsFile, shownConfig } from './config/index.js';
import { FacedError } from './domain/errors.js';
import type { MachineLook } from './domain/machine.js';
import type { Problem } from './domain/problem.js';
import { restoreBackup } from './gallery/backup-file.js';
import type { HttpParts, RecogniserLook } from './http/parts.js';
import type { HttpServer } from './http/server.js';
import type { ModelCard } from './inference/card.js';
import type { Logger } from './lib/log.js';
import { Serial } from './lib/serial.js';
import type { ConfigChange } from './live-config.js';
import type { Access } from './pipeline/access.js';
import type { Pace } from './pipeline/heat-governor.js';
import { Notices } from './pipeline/notices.js';
import type { MemoryLevel, Store } from './pipeline/ports.js';
import type { PromiseKeeper } from './pipeline/promise.js';
import { HeatWatch } from './system/heat-watch.js';
import { type MachineProblem, machineProblems, machineState } from './system/machine.js';
import { MemoryWatch } from './system/memory-watch.js';

/** The machine is looked at so often: temperatures and disks do not move faster. */
const LOOK_MS = 10_000;

export interface HouseWatchOptions {
  readonly stateDir: string;
  readonly log: Logger;
  readonly onPace: (pace: Pace) => void;
  readonly onMemory: (level: MemoryLevel) => void;
  /** What the daemon may have in memory, bytes; null: no budget of its own. */
  readonly memoryBudget: number | null;
}

/** Machine, cameras, broker, doors: what is wrong is told as notices, once when it begins and once when it is over. */
export class HouseWatch {
  readonly notices = new Notices();
  readonly #stateDir: string;
  readonly #log: Logger;
  readonly #heat: HeatWatch;
  readonly #memory: MemoryWatch;
  #machine: Promise<Omit<MachineLook, 'memoryLevel'>> | undefined;
  #lookedAt = 0;
  #problems: readonly MachineProblem[] = [];

  constructor({ stateDir, log, onPace, onMemory, memoryBudget }: HouseWatchOptions) {
    this.#memory = new MemoryWatch({ log, onLevel: onMemory, budget: memoryBudget });
    // Before the first model is loaded: which form of it is, goes by the level.
    this.#memory.beat(process.memoryUsage.rss());
    this.#heat = new HeatWatch({ log, onPace });
    this.#stateDir = stateDir;
    this.#log = log;
  }

  /** What is wrong with the machine, as of the last look. */
  problems(): readonly Problem[] {
    return [...this.#problems, ...this.#heat.problems(), ...this.#memory.problems()];
  }

  async machine(): Promise<MachineLook> {
    const now = performance.now();
    if (this.#machine === undefined || now - this.#lookedAt > LOOK_MS) {
      this.#lookedAt = now;
      this.#machine = this.#look();
    }
    return { ...(await this.#machine), memoryLevel: this.#memory.level };
  }

  /** To be called with each report of the daemon's health. */
  reported(
    { problems, rssBytes }: { problems: readonly Problem[]; rssBytes: number },
    doors: readonly { door: string; state: string }[],
  ): void {
    this.#memory.beat(rssBytes);
    void this.#heat.beat();
    this.machine().catch((error: unknown) =>
      this.#log.warn({ error: String(error) }, 'the machine could not be looked at'),
    );
    const open = doors
      .filter(({ state }) => state === 'open too long')
      .map(({ door }) => ({ code: 'door.open-too-long', message: `${door}: the door stands open` }));
    this.notices.problems([...problems, ...open]);
  }

  async #look(): Promise<Omit<MachineLook, 'memoryLevel'>> {
    const state = await machineState(this.#stateDir);
    this.#problems = machineProblems(state, new Set(this.#problems.map(({ code }) => code)));
    const { heatLevel, heatSteps } = this.#heat;
    return { ...state, heatLevel, heatSteps };
  }
}

/** What the page draws a decision's reasons from. */
export function recogniserLook(
  { id, curve }: Pick<ModelCard, 'id' | 'curve'>,
  keeper: Pick<PromiseKeeper, 'policy' | 'problem'>,
): RecogniserLook {
  const policy = keeper.problem() === null ? keeper.policy() : null;
  return {
    model: id,
    threshold: policy?.threshold ?? null,
    margin: policy?.margin ?? null,
    livenessMinimum: policy?.livenessMinimum ?? null,
    curve:
      curve === undefined
        ? null
        : {
            impostorPairs: curve.impostorPairs,
            points: curve.points.map(({ fmr, threshold, tmr }) => ({ fmr, threshold, tmr })),
          },
  };
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

export interface SettingsParts {
  /** The configuration that holds now. */
  readonly config: () => Config;
  /** Null: there is none yet, and the first change makes it. */
  readonly configFile: string | null;
  readonly stateDir: string;
  readonly env: NodeJS.ProcessEnv;
  /** Takes over what needs no restart and writes down who changed what; answers the settings that need one. */
  readonly reload: (next: Config, by: ConfigChange) => Promise<string[]>;
}

/** The configuration as the HTTP interface reads and changes it. One change at a time. */
export function settingsOf(parts: SettingsParts): HttpParts['settings'] {
  const { env, stateDir, reload } = parts;
  const file = parts.configFile ?? join(stateDir, 'faced.yaml');
  const turns = new Serial();
  const change = async (patch: Readonly<Record<string, unknown>>, actor: string) => {
    const { config, undo } = await editConfig({ file, settingsFile: settingsFile(stateDir), env, patch });
    const paths = leaves(patch);
    const needRestart = await reload(config, { actor, settings: paths }).catch(async (error: unknown) => {
      // What cannot hold now must not keep the next start from succeeding.
      await undo();
      throw error;
    });
    const overridden = paths.filter((path) => !same(valueAt(config, path), valueAt(patch, path)));
    return { config: shownConfig(config), needRestart, overridden };
  };
  return {
    read: () => ({
      config: shownConfig(parts.config()),
      schema: SCHEMA,
      fileOnly: leaves(parts.config()).filter((path) => isFileOnly(path.split('.'))),
    }),
    change: (patch, actor) => turns.run(() => change(patch, actor)),
  };
}

/** Paths of all that is no section. */
function leaves(tree: object, before: readonly string[] = []): string[] {
  return Object.entries(tree).flatMap(([key, value]: [string, unknown]) => {
    const path = [...before, key];
    const inner = typeof value === 'object' && value !== null && !Array.isArray(value);
    return inner ? leaves(value, path) : [path.join('.')];
  });
}

function valueAt(tree: object, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], tree);
}

/** null asked for the default, whatever that is. */
function same(held: unknown, asked: unknown): boolean {
  return asked === null || JSON.stringify(held) === JSON.stringify(asked);
}

export interface BackupParts {
  readonly config: Config;
  readonly stateDir: string;
  readonly env: NodeJS.ProcessEnv;
  readonly store: Store;
  readonly access: Access;
  /** After the gallery is another one. */
  readonly changed: () => Promise<void>;
}

export function backupsOf(parts: BackupParts): HttpParts['backups'] {
  const { config, stateDir, env, store, access, changed } = parts;
  const place = () => join(stateDir, `backup-${ulid()}.tmp`);
  return {
    place,
    create: async (actor) => {
      const path = place();
      await store.audit({ kind: 'backup', actor, detail: {} });
      await store.backup(path);
      return path;
    },
    restore: async (path, actor) => {
      // Who may come in is decided now, not by what a backup remembers.
      const records = await store.accessRecords();
      await store.stop();
      try {
        return await restoreBackup(path, {
          ...{ directory: stateDir, replace: true, actor },
          ...(config.gallery.keyFile === null ? {} : { keyFile: config.gallery.keyFile }),
          credentialsDirectory: env.CREDENTIALS_DIRECTORY,
        });
      } finally {
        await store.start(new AbortController().signal);
        for (const { kind, id } of await store.accessRecords()) await store.removeAccess({ kind, id });
        for (const record of records) await store.putAccess(record);
        await access.reload();
        await changed();
      }
    },
  };
}
