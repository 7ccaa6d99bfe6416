import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

function logged(env: NodeJS.ProcessEnv): string {
  const program = `
    import { createLogger } from ${JSON.stringify(new URL('../../src/lib/log.js', import.meta.url).href)};
    const log = createLogger('info');
    log.debug({}, 'not said');
    log.warn({ broker: 'mqtt://x', reason: 'went "away"', count: 2 }, 'no connection');`;
  const { JOURNAL_STREAM: _, ...rest } = process.env;
  return spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    env: { ...rest, ...env },
    encoding: 'utf8',
  }).stderr;
}

test('a log entry is one readable line with its details', () => {
  assert.match(
    logged({}),
    /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d warn {2}no connection broker=mqtt:\/\/x reason="went \\"away\\"" count=2\n$/,
  );
});

test('the journal gets the priority and no time', () => {
  assert.equal(
    logged({ JOURNAL_STREAM: '8:1' }),
    '<4>no connection broker=mqtt://x reason="went \\"away\\"" count=2\n',
  );
});
