/** What a child needs of the environment, by name or by beginning. A list of what may pass, since nobody can list every secret. */
const PASSED = new Set([
  'PATH',
  'HOME',
  'LANG',
  'TZ',
  'TMPDIR',
  'LD_LIBRARY_PATH',
  'NODE_OPTIONS',
  'XDG_CACHE_HOME',
  'XDG_RUNTIME_DIR',
  'CACHE_DIRECTORY',
  'MALLOC_ARENA_MAX',
  'NO_COLOR',
  'FACED_MODELS_DIR',
]);
const PASSED_BEGINNINGS = ['LC_', 'OPENCV_', 'GST_', 'ORT_'];

/** The environment for a process that needs no key, no password and no lock. */
export function withoutSecrets(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const passes = (name: string): boolean =>
    PASSED.has(name) || PASSED_BEGINNINGS.some((beginning) => name.startsWith(beginning));
  return Object.fromEntries(Object.entries(env).filter(([name]) => passes(name)));
}
