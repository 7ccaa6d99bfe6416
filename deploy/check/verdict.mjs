// For check-arm64.sh: whether the events are those that the pictures and the clip should give, on standard output and at the broker.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const dir = process.argv[2];
const lines = (name) =>
  readFileSync(join(dir, name), 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
const summary = (events) =>
  events.map(({ decision, person }) => (person === null ? decision : `${decision} ${person.name}`)).sort();

const pictures = lines('pictures.ndjson');
const clip = lines('clip.ndjson');
assert.deepEqual(summary(pictures), ['known Ada', 'unknown']);
assert.deepEqual(summary(clip), ['known Ada']);
const heard = lines('heard.ndjson').filter(({ topic }) => topic === 'faced/pi/recognition');
assert.deepEqual(
  heard.map(({ payload }) => JSON.parse(payload).id).sort(),
  [...pictures, ...clip].map(({ id }) => id).sort(),
  'each event reached the broker once',
);
const similarities = [...pictures, ...clip].map(({ similarity }) => similarity);
console.log(`events as they should be; similarities ${similarities.join(', ')}`);
