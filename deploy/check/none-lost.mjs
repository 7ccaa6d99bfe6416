// For check-systemd.sh: whether every event of a stopped daemon's database was heard at the broker, and none waits.
//   node none-lost.mjs DIR     DIR/gallery.db; DIR/heard, the lines of `mosquitto_sub --verbose`
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';

const dir = process.argv[2];
const db = new Database(join(dir, 'gallery.db'), { readonly: true });
const recorded = db.prepare('SELECT id FROM events ORDER BY id').pluck().all();
const waiting = db.prepare('SELECT count(*) FROM outbox').pluck().get();
const { dropped } = db.prepare('SELECT dropped FROM outbox_state').get();
db.close();
const topic = 'faced/door/recognition ';
const published = readFileSync(join(dir, 'heard'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith(topic))
  .map((line) => JSON.parse(line.slice(topic.length)));
const ids = new Set(published.map(({ id }) => id));
assert.ok(recorded.length > 10, `only ${recorded.length} events`);
assert.deepEqual([waiting, dropped], [0, 0], 'events wait, or were dropped');
assert.deepEqual(
  recorded.filter((id) => !ids.has(id)),
  [],
  'events that nobody heard',
);
const counts = new Map();
for (const { decision, person } of published) {
  const who = person?.name ?? decision;
  counts.set(who, (counts.get(who) ?? 0) + 1);
}
const said = [...counts].map(([who, count]) => `${count} ${who}`).join(', ');
console.log(
  `       ${recorded.length} events in the database, all heard at the broker; ${published.length} messages: ${said}`,
);
