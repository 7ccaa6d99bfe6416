import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { FacedError } from '../domain/errors.js';
import { modelsDir as cachedModels } from '../inference/model-dir.js';
import { ROOT } from '../lib/program.js';

type Env = Readonly<Record<string, string | undefined>>;

export { ROOT };

/** The state directory: FACED_STATE_DIR, else systemd's, else `.faced` in the checkout, else the user's own. */
export function stateDir(env: Env, root: string = ROOT): string {
  if (env.FACED_STATE_DIR) return resolve(env.FACED_STATE_DIR);
  const systemd = firstOf(env.STATE_DIRECTORY);
  if (systemd !== undefined) return systemd;
  // A package is installed by somebody else and may not be written to; only a checkout has its sources.
  if (existsSync(join(root, 'src', 'main.ts')) || existsSync(join(root, '.git'))) return join(root, '.faced');
  return join(env.XDG_STATE_HOME || join(home(env), '.local', 'state'), 'faced');
}

/** Where model files are kept: FACED_MODELS_DIR, else `models.dir`, else a cache that outlives state directory and checkout. */
export function modelsDir(env: NodeJS.ProcessEnv, configured: string | null = null): string {
  return env.FACED_MODELS_DIR || configured === null ? cachedModels(env) : resolve(configured);
}

/** The configuration file that is used when none is named on the command line; null when there is none. */
export function findConfigFile(env: Env, state: string = stateDir(env)): string | null {
  // A file that was asked for and is not there is a mistake, found when it is read.
  if (env.FACED_CONFIG) return resolve(env.FACED_CONFIG);
  return [join(state, 'faced.yaml'), '/etc/faced/faced.yaml'].find((path) => existsSync(path)) ?? null;
}

/** Settings that were changed over the page while the configuration file was not ours to write. */
export function settingsFile(state: string): string {
  return join(state, 'settings.yaml');
}

/** Make the state directory, for its owner only. */
export function makeStateDir(path: string): string {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return path;
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new FacedError('usage.not-found', `The state directory ${path} cannot be made (${reason}).`, {
      cause: error,
      fix: 'Set FACED_STATE_DIR to a folder that can be written.',
    });
  }
}

/** systemd joins several directories with a colon; the first one is ours. */
function firstOf(list: string | undefined): string | undefined {
  return list?.split(':')[0] || undefined;
}

function home(env: Env): string {
  return env.HOME || homedir();
}
