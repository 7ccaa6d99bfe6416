import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * Where model files live: outside the state directory, so that a fresh one needs no new download.
 * `FACED_MODELS_DIR`, else the cache that systemd made for the service, else the user's cache.
 */
export function modelsDir(env: NodeJS.ProcessEnv = process.env): string {
  if (env.FACED_MODELS_DIR) return env.FACED_MODELS_DIR;
  // systemd.exec(5): several directories are separated by colons; faced.service has one.
  const service = env.CACHE_DIRECTORY?.split(':')[0];
  if (service) return join(service, 'models');
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'faced', 'models');
}
