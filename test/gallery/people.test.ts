import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import type { PersonExport } from '../../src/pipeline/ports.js';
import { event, messageOf, openStore, QUALITY, randomNumbers, SPACE, sample } from './support.js';

test('a person is found by name after trimming and composing, and has one id', async (t) => {
  const { store } = await openStore(t);
  const anna = await store.ensurePerson('  Zoë ');
  assert.equal(anna.name, 'Zoë');
  assert.deepEqual(await store.ensurePerson('Zoe\u0308'), anna);
  assert.notEqual((await store.ensurePerson('zoë')).id, anna.id);
  for (const name of [
    '🧑‍🔧 Jo',
    'a/b/../c',
    "Robert'); DROP TABLE people;--",
    'x'.repeat(200),
    '𝒳'.repeat(200),
  ])
    assert.equal((await store.ensurePerson(name)).name, name);
  assert.equal((await store.people()).length, 7);
});

test('names that cannot be used are refused and nothing is kept', async (t) => {
  const { store } = await openStore(t);
  for (const name of ['', '   ', 'x'.repeat(300), 'a\nb', 'a\u0000b', 'a\u2028b', '\ud800'])
    await assert.rejects(store.ensurePerson(name), { code: 'gallery.invalid-name' });
  const { id } = await store.ensurePerson('Anna');
  await store.ensurePerson('Ben');
  await assert.rejects(store.renamePerson(id, 'x'.repeat(300)), { code: 'gallery.invalid-name' });
  await assert.rejects(store.renamePerson(id, ' Ben'), { code: 'gallery.invalid-name' });
  assert.deepEqual((await store.people()).map(({ name }) => name).sort(), ['Anna', 'Ben']);
});

test('samples are found, counted, removed, and all of it stands after a restart', async (t) => {
  const random = randomNumbers(1);
  const { store, directory } = await openStore(t);
  const anna = await store.ensurePerson('Anna');
  const ben = await store.ensurePerson('Ben');
  const [first, second, other] = [sample(random), sample(random), sample(random, 'other/1')];
  const ids = await store.addSamples(anna.id, [first, other]);
  await store.addSamples(ben.id, [second]);
  const before = await store.counts(SPACE);
  assert.deepEqual({ ...before, version: 0 }, { version: 0, people: 2, samples: 2, otherSpaces: 1 });
  const match = (await store.search([first.embedding]))[0];
  assert.deepEqual(match?.person, anna);
  assert.ok(Math.abs((match?.similarity ?? 0) - 1) < 1e-6);
  assert.ok(Math.abs(match?.runnerUp ?? 1) < 0.3);
  await store.renamePerson(anna.id, 'Anne');
  assert.equal((await store.search([first.embedding]))[0]?.person.name, 'Anne');
  const answers = await store.search([first.embedding, second.embedding, other.embedding]);
  await store.stop();

  const again = (await openStore(t, { directory })).store;
  assert.deepEqual(await again.search([first.embedding, second.embedding, other.embedding]), answers);
  assert.equal((await again.counts(SPACE)).version, before.version + 1);
  assert.deepEqual(
    (await again.samples(anna.id)).map(({ id, space, quality }) => ({ id, space, quality })),
    [
      { id: ids[0], space: SPACE, quality: QUALITY },
      { id: ids[1], space: 'other/1', quality: QUALITY },
    ],
  );
  await again.removeSample(ids[0] ?? '');
  assert.equal((await again.search([first.embedding]))[0]?.person.name, 'Ben');
  await again.removePerson(ben.id);
  assert.deepEqual(await again.search([first.embedding]), [null]);
  assert.deepEqual(
    (await again.people()).map(({ name, samples }) => ({ name, samples })),
    [{ name: 'Anne', samples: 1 }],
  );
});

test('what is not there and what is malformed is refused and changes nothing', async (t) => {
  const random = randomNumbers(2);
  const { store } = await openStore(t);
  const { id } = await store.ensurePerson('Anna');
  await store.addSamples(id, [sample(random)]);
  const before = await store.counts(SPACE);
  const none = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
  const good = sample(random);
  const bad = (vector: Float32Array) => [good, { embedding: { space: SPACE, vector }, quality: QUALITY }];
  for (const call of [
    store.renamePerson(none, 'X'),
    store.removePerson(none),
    store.addSamples(none, [good]),
    store.samples(none),
    store.removeSample(none),
    store.exportPeople([none]),
  ])
    await assert.rejects(call, { code: 'gallery.not-found' });
  for (const value of [0, 1, Number.NaN])
    await assert.rejects(store.addSamples(id, bad(new Float32Array(512).fill(value))), {
      code: 'gallery.invalid-sample',
    });
  await assert.rejects(store.addSamples(id, bad(Float32Array.of(1))), { code: 'space.mismatch' });
  await assert.rejects(store.search([{ space: SPACE, vector: Float32Array.of(1) }]), {
    code: 'space.mismatch',
  });
  await assert.rejects(store.search([{ space: SPACE, vector: new Float32Array(512).fill(Number.NaN) }]), {
    code: 'gallery.invalid-sample',
  });
  assert.deepEqual(await store.counts(SPACE), before);
});

test('export and import carry people to another device, joined by id', async (t) => {
  const random = randomNumbers(3);
  const one = (await openStore(t)).store;
  const two = (await openStore(t)).store;
  const anna = await one.ensurePerson('Anna');
  const ben = await one.ensurePerson('Ben');
  const eve = await one.ensurePerson('Eve');
  await one.addSamples(anna.id, [sample(random), sample(random)]);
  await one.addSamples(ben.id, [sample(random)]);
  await one.addSamples(eve.id, [sample(random)]);
  const exported = await one.exportPeople();
  assert.deepEqual(await two.importPeople(exported), { people: 3, samples: 4 });
  assert.deepEqual(await two.exportPeople(), exported);
  const version = (await two.counts(SPACE)).version;
  assert.deepEqual(await two.importPeople(exported), { people: 0, samples: 0 });
  assert.equal((await two.counts(SPACE)).version, version);

  // Deleted there, renamed and added to here, enrolled twice under one name.
  await two.removePerson(eve.id);
  await two.renamePerson(ben.id, 'Benjamin');
  await one.addSamples(anna.id, [sample(random)]);
  const carlHere = await one.ensurePerson('Carl');
  const carlThere = await two.ensurePerson('Carl');
  await one.addSamples(carlHere.id, [sample(random)]);
  assert.deepEqual(await two.importPeople(await one.exportPeople()), { people: 0, samples: 2 });
  const people = await two.people();
  assert.deepEqual(
    people.map(({ id, name, samples }) => ({ id, name, samples })),
    [
      { id: anna.id, name: 'Anna', samples: 3 },
      { id: ben.id, name: 'Benjamin', samples: 1 },
      { id: carlThere.id, name: 'Carl', samples: 1 },
    ],
  );
  await one.importPeople(await two.exportPeople([ben.id]));
  assert.equal((await one.people()).find(({ id }) => id === ben.id)?.name, 'Benjamin');
});

test('an import with a mistake anywhere changes nothing', async (t) => {
  const random = randomNumbers(4);
  const { store } = await openStore(t);
  const good: PersonExport = {
    ...{ id: '01ARZ3NDEKTSV4RRFFQ69G5FAV', name: 'Anna', samples: 1, createdAt: 5, updatedAt: 5 },
    embeddings: [
      {
        ...{ id: '01ARZ3NDEKTSV4RRFFQ69G5FAW', space: SPACE, quality: QUALITY, createdAt: 5 },
        vector: sample(random).embedding.vector,
      },
    ],
  };
  const broken: PersonExport[] = [
    { ...good, id: '../../etc/passwd' },
    { ...good, id: '01ARZ3NDEKTSV4RRFFQ69G5FAX', name: 'x\u0000' },
    { ...good, id: '01ARZ3NDEKTSV4RRFFQ69G5FAX', name: 'B', createdAt: Number.NaN },
    {
      ...{ ...good, id: '01ARZ3NDEKTSV4RRFFQ69G5FAX', name: 'B' },
      embeddings: good.embeddings.map((one) => ({ ...one, id: 'x' })),
    },
    {
      ...{ ...good, id: '01ARZ3NDEKTSV4RRFFQ69G5FAX', name: 'B' },
      embeddings: good.embeddings.map((one) => ({
        ...{ ...one, id: '01ARZ3NDEKTSV4RRFFQ69G5FAY' },
        quality: { ...QUALITY, score: Number.NaN },
      })),
    },
  ];
  for (const one of broken)
    await assert.rejects(store.importPeople([good, one]), { code: /gallery.invalid-(name|sample)/ });
  assert.deepEqual(await store.people(), []);
  assert.deepEqual(await store.importPeople([good, good]), { people: 1, samples: 1 });
});

test('neither a name nor a vector is in clear in any file, and a removed person is overwritten', async (t) => {
  const random = randomNumbers(5);
  const { store, directory } = await openStore(t);
  const name = 'Wilhelmina Quasi-Secret';
  const { id } = await store.ensurePerson(name);
  const one = sample(random);
  await store.addSamples(id, [one]);
  const seen = event(name);
  await store.recordEvent(seen, [messageOf(seen)]);
  const vector = Buffer.from(one.embedding.vector.buffer);
  const pieces = [
    Buffer.from(name),
    Buffer.from('Quasi'),
    vector,
    vector.subarray(0, 16),
    vector.subarray(1024, 1040),
  ];
  const files = () => readdirSync(directory).map((file) => readFileSync(join(directory, file)));
  const clear = () => files().some((bytes) => pieces.some((piece) => bytes.includes(piece)));
  assert.ok(Buffer.concat(files()).includes(id), 'the log is looked at too');
  assert.equal(clear(), false);
  for (const file of ['gallery.db', 'gallery.db-wal', 'gallery.key'])
    assert.equal(statSync(join(directory, file)).mode & 0o777, 0o600, file);
  await store.stop();

  const db = new Database(join(directory, 'gallery.db'), { readonly: true });
  const sealed = db.prepare<[], Buffer>('SELECT vector FROM samples').pluck().get() as Buffer;
  db.close();
  assert.equal(sealed.length, 1 + 12 + 2048 + 16);
  const kept = () => files().some((bytes) => bytes.includes(sealed.subarray(1000, 1032)));
  assert.ok(kept());
  const again = (await openStore(t, { directory })).store;
  await again.removePerson(id);
  assert.equal(kept(), false);
  assert.equal(clear(), false);
});
