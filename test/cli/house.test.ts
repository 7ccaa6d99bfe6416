import assert from 'node:assert/strict';
import { test } from 'node:test';
import { controlSocketPath } from '../../src/assemble.js';
import { withHouseAt } from '../../src/cli/house.js';
import { processIo } from '../../src/cli/io.js';
import { loadConfig } from '../../src/config/index.js';
import { serveOnSocket } from '../../src/lib/socket-rpc.js';
import { temporaryDir } from '../helpers/dirs.js';

test('a signal ends a command that waits for the daemon', { timeout: 10_000 }, async (t) => {
  const stateDir = await temporaryDir(t);
  const abort = new AbortController();
  // A daemon that is asked and never answers.
  const server = await serveOnSocket(controlSocketPath(stateDir), {
    people: () => {
      abort.abort('SIGTERM');
      return new Promise(() => {});
    },
  });
  t.after(() => server.close());
  const io = processIo({ json: true, verbose: false, signal: abort.signal });
  const { config } = loadConfig({ env: { FACED_STATE_DIR: stateDir } });
  const found = { config, configFile: null, apart: [], stateDir, modelsDir: stateDir };
  await assert.rejects(
    withHouseAt(found, io, (house) => house.people()),
    /closed the connection/,
  );
});
