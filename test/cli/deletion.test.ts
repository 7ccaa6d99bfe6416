/** What is left of a person who is deleted, by the commands that everybody has. */
import assert from 'node:assert/strict';
import { copyFileSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openGallery } from '../../src/gallery/database.js';
import { portraitOf } from '../helpers/clips.js';
import { temporaryDir } from '../helpers/dirs.js';
import { type Faced, facedIn } from '../helpers/faced.js';

const NAME = 'Wilhelmina Quasi';
const CODE = '471128';

async function house(t: Parameters<typeof facedIn>[0]) {
  const dir = await temporaryDir(t);
  const config = join(dir, 'faced.yaml');
  writeFileSync(
    config,
    `gallery: {keepImages: true}\ndoors: {front: {lock: {driver: recorder, file: ${dir}/record}, modes: [code], codes: [control]}}\naccess: {clock: trusted, rules: [{name: r, doors: [all], people: [${NAME}], when: always}]}\n`,
  );
  const faced = await facedIn(t, { FACED_CONFIG: config, FACED_MQTT_EMBEDDED_PORT: '0' });
  const pictures = await temporaryDir(t);
  writeFileSync(join(pictures, 'a.jpg'), await portraitOf('Ada'));
  const good = async (...argv: string[]) => {
    const { code, answer, stderr } = await faced.json(...argv);
    assert.equal(code, 0, stderr);
    return answer as Record<string, never>;
  };
  await good('enroll', NAME, join(pictures, 'a.jpg'));
  const adding = faced.spawn('door', 'add-key', NAME);
  adding.child.stdin?.end(`${CODE}\n`);
  assert.equal(await adding.ended, 0, adding.stderr());
  return { faced, pictures, good, dir };
}

const codes = ({ stateDir }: Faced) => readFileSync(join(stateDir, 'credentials.json'), 'utf8');

/** All that is sealed in the events of a gallery, opened; a copy of it is looked at. */
async function eventsIn(t: Parameters<typeof facedIn>[0], file: string, stateDir: string): Promise<string> {
  const directory = await temporaryDir(t);
  copyFileSync(file, join(directory, 'gallery.db'));
  copyFileSync(join(stateDir, 'gallery.key'), join(directory, 'gallery.key'));
  const gallery = await openGallery({ directory });
  try {
    const rows = gallery.db.prepare('SELECT id, body FROM events').all() as { id: string; body: Buffer }[];
    return rows.map(({ id, body }) => gallery.sealer.open(body, ['event', id]).toString()).join('\n');
  } finally {
    gallery.close();
  }
}

test('a person who is deleted leaves no sample, picture, name or code, and none in a backup after its next turn', async (t) => {
  const { faced, pictures, good, dir } = await house(t);
  const { stateDir } = faced;
  const seen = await faced.run('run', '--once', '--source', `images:${pictures}`, '--json');
  assert.equal(seen.code, 0, seen.stderr);
  assert.match(seen.stdout, new RegExp(NAME));
  const backups = join(dir, 'backups');
  await good('backup', 'rotate', backups);
  // Of another day: two backups of one second would have the same name.
  const older = 'faced-20260101T000000Z.db';
  renameSync(join(backups, readdirSync(backups)[0] ?? ''), join(backups, older));
  assert.match(await eventsIn(t, join(backups, older), stateDir), new RegExp(NAME));
  const [digest = ''] = /[0-9a-f]{64}(?="})/.exec(codes(faced)) ?? [];
  assert.notEqual(digest, '');
  for (const text of [digest, CODE])
    assert.ok(!readFileSync(join(backups, older)).includes(text), 'codes are in no backup');

  const exported = (await good('people', 'export', NAME)).people as unknown as {
    keys: { method: string }[];
  }[];
  assert.deepEqual(
    exported[0]?.keys.map(({ method }) => method),
    ['code'],
  );
  assert.ok(!JSON.stringify(exported).includes(digest), 'that there is a code is told, not the code');

  await good('people', 'remove', NAME);
  assert.deepEqual((await good('people', 'list')).people, []);
  assert.ok(!codes(faced).includes(digest), 'nobody ran, and the code is gone at once');
  assert.doesNotMatch(await eventsIn(t, join(stateDir, 'gallery.db'), stateDir), new RegExp(NAME));

  const turn = await good('backup', 'rotate', backups);
  assert.equal(turn.purged, 1);
  const told = await eventsIn(t, join(backups, older), stateDir);
  assert.doesNotMatch(told, new RegExp(NAME));
  assert.match(told, /"\(removed\)"/);
  for (const name of readdirSync(backups)) {
    const { people, samples } = await good('backup', 'verify', join(backups, name));
    assert.deepEqual([people, samples], [0, 0]);
  }
  const { rows } = (await good('audit', 'export')) as unknown as { rows: { kind: string }[] };
  assert.ok(!JSON.stringify(rows).includes('Wilhelmina'), 'the audit never had the name');
  assert.ok(rows.some(({ kind }) => kind === 'remove'));
  assert.equal((await faced.json('audit', 'verify')).code, 0);
});

test('codes of somebody who was deleted behind the doors’ back are gone at the next start', async (t) => {
  const { faced, pictures, good } = await house(t);
  const book = codes(faced);
  await good('people', 'remove', NAME);
  // As if the power had gone between the two.
  writeFileSync(join(faced.stateDir, 'credentials.json'), book);
  const next = await faced.run('run', '--once', '--source', `images:${pictures}`);
  assert.equal(next.code, 0, next.stderr);
  assert.doesNotMatch(codes(faced), /"digest"/);
});
