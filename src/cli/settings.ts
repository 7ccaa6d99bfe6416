import {
  type Config,
  loadConfig,
  makeStateDir,
  modelsDir as modelsDirOf,
  settingsFile,
  stateDir as stateDirOf,
} from '../config/index.js';
import type { CommandIo } from './command.js';

/** What every command that touches the configuration takes. */
export const COMMON_OPTIONS = { config: { type: 'string' } } as const;

export interface Settings {
  readonly config: Config;
  /** The file the configuration came from; null when the defaults hold. */
  readonly configFile: string | null;
  /** Settings that hold in place of what that file says, by path. */
  readonly apart: readonly string[];
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
  const stateDir = makeStateDir(stateDirOf(io.env));
  const { config, source, apart, warnings } = loadConfig({
    ...{ path: values.config, settingsFile: settingsFile(stateDir), env: io.env, overrides },
  });
  io.setLogLevel(config.log.level);
  for (const warning of warnings) io.log.warn({}, warning);
  return {
    config,
    configFile: source,
    apart,
    stateDir,
    modelsDir: modelsDirOf(io.env, config.models.dir),
  };
}
