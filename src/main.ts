import './lib/no-telemetry.js';

// Signals are taken before anything else is loaded: a service that is stopped while it starts ends as cleanly as later.
const abort = new AbortController();
for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => abort.abort(name));

const { program } = await import('./cli/program.js');
process.exitCode = await program(process.argv.slice(2), abort);
const { hangingThreads } = await import('./inference/worker-ends.js');
if (hangingThreads() > 0) (await import('./image/index.js')).exitNow(process.exitCode);
// Handles of libraries (a capture thread in its last read, say) must not keep a finished command alive.
process.exit();
