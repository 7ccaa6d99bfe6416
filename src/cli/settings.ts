import {
  type Config,
  loadConfig,
  makeStateDir,
  modelsDir as modelsDirOf,
  stateDir as stateDirOf,
} from '../config/index.js';
import type { CommandIo } from './command.js';

/** What every command that touches the configuration takes. */
export const COMMON_OPTIONS = { config: { type: 'string' } } as const;

export interface Settings {
  readonly config: Config;
  /** The file the configuration came from; null when the defaults hold. */
  readonly configFile: string | null;
  /** Made, for its owner only. */
  readonly stateDir: string;
  readonly modelsDir: string;
}

/** Configuration, state directory and models folder of this call. Throws `config.*` and says what was passed over. */
export function settings(
  io: CommandIo,
  values: { readonly config?: string | undefined },
  overrides: Record<string, unknown> = {},
): Settings {
  const { config, source, warnings } = loadConfig({ path: values.config, env: io.env, overrides });
  io.setLogLevel(config.log.level);
  for (const warning of warnings) io.log.warn({}, warning);
  return {
    config,
    configFile: source,
    stateDir: makeStateDir(stateDirOf(io.env)),
    modelsDir: modelsDirOf(io.env, config.models.dir),
  };
}
