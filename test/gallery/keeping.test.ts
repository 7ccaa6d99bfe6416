import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { openGallery } from '../../src/gallery/database.js';
import type { NewSample } from '../../src/pipeline/ports.js';
import { event, messageOf, openStore, randomNumbers, SPACE, sample, unknownFace } from './support.js';

const random = randomNumbers(21);
const IMAGE = Buffer.from('a picture that must not be read by others '.repeat(40));

function pictured(): NewSample {
  return { ...sample(random), image: IMAGE };
}

const anyone = { remove: [], actor: 'cli', from: 'picture' };

/** Whether any file of the folder has these bytes in clear. */
function holds(directory: string, bytes: Buffer): boolean {
  return readdirSync(directory).some((file) => readFileSync(join(directory, file)).includes(bytes));
}

test('an enrolment is one transaction: person, samples, consent and audit, or nothing of it', async (t) => {
  const { store } = await openStore(t);
  const consent = { version: 'house rules 2', givenAt: 1_790_000_000_000 };
  const first = await store.enroll({
    ...anyone,
    name: ' Anna ',
    add: [sample(random), sample(random)],
    consent,
  });
  assert.equal(first.person.name, 'Anna');
  assert.equal(first.samples.length, 2);
  const [gone = '', kept] = first.samples;
  const second = await store.enroll({ ...anyone, name: 'Anna', add: [sample(random)], remove: [gone] });
  assert.deepEqual(second.person, first.person);
  assert.deepEqual(
    (await store.samples(first.person.id)).map(({ id }) => id),
    [kept, ...second.samples],
  );
  const [recorded] = await store.consents(first.person.id);
  assert.deepEqual(
    { ...recorded, id: '', recordedAt: 0 },
    {
      ...{ id: '', recordedAt: 0, person: first.person.id },
      ...consent,
    },
  );
  const rows = await store.exportAudit({ limit: 10 });
  assert.deepEqual(
    rows.map(({ kind, detail }) => [kind, detail.person]),
    [
      ['enroll', first.person.id],
      ['consent.given', first.person.id],
      ['enroll', first.person.id],
    ],
  );

  const before = [await store.people(), await store.exportAudit({ limit: 10 }), await store.counts(SPACE)];
  const refused = [
    { ...anyone, name: 'Ben', add: [sample(random)], consent: { version: ' ', givenAt: 1 } },
    { ...anyone, name: 'Ben', add: [sample(random)], remove: [kept ?? ''] },
    { ...anyone, name: 'B\nen', add: [sample(random)] },
    {
      ...anyone,
      name: 'Ben',
      add: [{ ...sample(random), embedding: { space: SPACE, vector: Float32Array.of(1) } }],
    },
  ];
  for (const one of refused) await assert.rejects(store.enroll(one), { code: /^(gallery|space)\./ });
  const after = [await store.people(), await store.exportAudit({ limit: 10 }), await store.counts(SPACE)];
  assert.deepEqual(after, before);
});

test('kept pictures are sealed, come back as they were, and go with sample and person', async (t) => {
  const { store, directory } = await openStore(t);
  const { person, samples } = await store.enroll({
    ...anyone,
    name: 'Anna',
    add: [pictured(), pictured(), sample(random)],
  });
  const [one = '', two = '', none = ''] = samples;
  assert.deepEqual(Buffer.from((await store.sampleImage(one)) ?? []), IMAGE);
  assert.equal(await store.sampleImage(none), null);
  assert.deepEqual(
    (await store.samples(person.id)).map(({ image }) => image),
    [true, true, false],
  );
  assert.equal(holds(directory, IMAGE.subarray(0, 42)), false);
  await store.removeSample(one);
  assert.equal(await store.sampleImage(one), null);
  await store.removePerson(person.id);
  assert.equal(await store.sampleImage(two), null);
  await store.enroll({ ...anyone, name: 'Ben', add: [pictured()] });
  assert.equal(await store.forgetImages(), 1);
  assert.equal(await store.forgetImages(), 0);
  assert.equal((await store.people())[0]?.samples, 1);
});

test('samples of another space are told apart and embedded again from their pictures', async (t) => {
  const { store, directory } = await openStore(t);
  const old = { ...sample(random, 'old/1'), image: IMAGE };
  const { samples } = await store.enroll({
    ...anyone,
    name: 'Anna',
    add: [old, old, sample(random, 'old/1')],
  });
  const [first = '', second = ''] = samples;
  assert.deepEqual(await store.reembedding(SPACE), { waiting: 2, withoutImage: 1 });
  const page = await store.imagesToReembed({ space: SPACE, limit: 1 });
  assert.deepEqual(
    page.map(({ sample: id }) => id),
    [first],
  );
  const rest = await store.imagesToReembed({ space: SPACE, limit: 10, after: first });
  assert.deepEqual(
    rest.map(({ sample: id }) => id),
    [second],
  );
  const { embedding } = sample(random);
  await store.replaceEmbeddings([{ sample: first, embedding }]);
  assert.equal((await store.search([embedding]))[0]?.person.name, 'Anna');
  assert.deepEqual(await store.reembedding(SPACE), { waiting: 1, withoutImage: 1 });
  await assert.rejects(store.replaceEmbeddings([{ sample: 'none', embedding }]), {
    code: 'gallery.not-found',
  });
  await store.stop();
  const again = (await openStore(t, { directory })).store;
  assert.equal((await again.search([embedding]))[0]?.person.name, 'Anna');
  assert.equal((await again.counts(SPACE)).otherSpaces, 2);
});

test('a removed person leaves no name in events, messages and later decisions; the id stays', async (t) => {
  const { store, directory } = await openStore(t);
  const { person } = await store.enroll({ ...anyone, name: 'Wilhelmina Quasi', add: [sample(random)] });
  const about = (name: string, at: { id: string; name: string }) => ({ ...event(name), person: at });
  const [hers, late] = [about('x', person), about('x', person)];
  const signed = about('x', person);
  const others = Array.from({ length: 1_200 }, () => event('Ben'));
  await store.recordEvent(hers, [messageOf(hers)]);
  await store.recordEvent(signed, [
    { topic: 'faced/door/recognition', payload: JSON.stringify({ ...signed, sig: 'S'.repeat(86) }) },
  ]);
  for (const one of others) await store.recordEvent(one, []);
  assert.equal((await store.events({ limit: 10, person: person.id })).length, 2);
  await store.removePerson(person.id, [{ kind: 'remove', actor: 'cli', detail: { person: person.id } }]);
  await store.recordEvent(late, [messageOf(late)]);

  const events = await store.events({ limit: 10, person: person.id });
  assert.deepEqual(
    events.map(({ id, person: whose }) => [id, whose]),
    [signed, late, hers].map(({ id }) => [id, { id: person.id, name: '(removed)' }]),
  );
  const waiting = await store.outbox(10);
  assert.deepEqual(
    waiting.map(({ payload }) => JSON.parse(payload).person),
    [hers, late].map(() => ({ id: person.id, name: '(removed)' })),
  );
  assert.equal((await store.outboxStats()).dropped, 1, 'what is signed cannot be changed');
  assert.equal((await store.outboxStats()).waiting, 2);
  assert.deepEqual(
    (await store.exportAudit({ limit: 1_000, after: 1_202, about: person.id })).map(({ kind }) => kind),
    ['remove', 'decision'],
  );
  assert.deepEqual(await store.consents(person.id), []);
  await store.stop();
  assert.equal(JSON.stringify(await openText(directory)).includes('Quasi'), false);
});

/** All that is sealed in events and outbox, opened. */
async function openText(directory: string): Promise<string[]> {
  const gallery = await openGallery({ directory });
  try {
    const events = gallery.db.prepare('SELECT id, body FROM events').all() as { id: string; body: Buffer }[];
    return events.map(({ id, body }) => gallery.sealer.open(body, ['event', id]).toString());
  } finally {
    gallery.close();
  }
}

test('names that a power cut left in events are taken out at the next start', async (t) => {
  const { store, directory } = await openStore(t);
  const one = event('Wilhelmina');
  await store.recordEvent(one, []);
  await store.stop();
  const db = new Database(join(directory, 'gallery.db'));
  db.prepare('INSERT INTO redactions VALUES (?)').run(one.person?.id);
  db.close();
  const again = (await openStore(t, { directory })).store;
  await again.stop();
  assert.match((await openText(directory)).join(), /"name":"\(removed\)"/);
});

test('strangers are grouped by likeness and by track, listed, expire, and are bounded', async (t) => {
  const { store, directory } = await openStore(t);
  const rules = { threshold: 0.5, limit: 4 };
  const anna = unknownFace(random, { image: IMAGE, seenAt: Date.now() - 1000 });
  const again = unknownFace(random, { embedding: anna.embedding, camera: 'garden' });
  const turned = unknownFace(random, { track: anna.track, quality: { ...anna.quality, score: 0.95 } });
  const [a, b, c] = [
    await store.addUnknown(anna, rules),
    await store.addUnknown(again, rules),
    await store.addUnknown(turned, rules),
  ];
  assert.deepEqual([b, c], [a, a]);
  const elsewhere = await store.addUnknown(
    unknownFace(random, { embedding: { ...anna.embedding, space: 'other/1' } }),
    rules,
  );
  assert.notEqual(elsewhere, a, 'another space is never compared');
  const [group] = (await store.unknownGroups()).filter(({ group: id }) => id === a);
  assert.equal(group?.faces, 3);
  assert.deepEqual(group?.cameras.toSorted(), ['garden', 'porch']);
  assert.equal(group?.firstSeen, anna.seenAt);
  const faces = await store.unknownFaces(a);
  assert.equal(faces.find(({ id }) => id === group?.best)?.quality.score, 0.95);
  assert.deepEqual(Buffer.from(faces[0]?.image ?? []), IMAGE);
  assert.equal(holds(directory, IMAGE.subarray(0, 42)), false);
  assert.equal(holds(directory, Buffer.from('garden')), false);
  await store.stop();

  const { store: later } = await openStore(t, { directory });
  assert.equal(await later.addUnknown(unknownFace(random, { embedding: anna.embedding }), rules), a);
  assert.equal((await later.unknownFaces(a)).length, 3, 'the oldest went');
  await later.addUnknown(unknownFace(random, { expiresAt: Date.now() - 1 }), { ...rules, limit: 100 });
  assert.equal((await later.unknownGroups()).length, 2, 'what has expired is not listed');
  assert.equal(await later.pruneUnknown(), 1);
  assert.equal(await later.forgetUnknown({ tracks: [turned.track] }), 1);
  assert.equal(await later.forgetUnknown({ groups: [elsewhere] }), 1);
  assert.equal(await later.forgetUnknown('all'), 2);
  assert.deepEqual(await later.unknownGroups(), []);
  await later.stop();
  const db = new Database(join(directory, 'gallery.db'), { readonly: true });
  assert.equal(db.prepare('SELECT count(*) FROM unknown_faces').pluck().get(), 0);
  db.close();
});

test('a change and its row in the audit are one: neither is there without the other', async (t) => {
  const { store, directory } = await openStore(t);
  const { person, samples } = await store.enroll({
    ...anyone,
    name: 'Ada',
    add: [sample(random), sample(random)],
  });
  const [first = '', second = ''] = samples;
  const row = (kind: string, detail: object = {}) => ({ kind, actor: 'cli', detail: { ...detail } });
  await store.renamePerson(person.id, 'Grace', row('rename', { person: person.id }));
  await store.removeSample(first, row('sample.removed', { sample: first }));
  await store.importPeople(await store.exportPeople(), row('import', { ids: [person.id] }));
  await store.forgetUnknown('all', row('unknown.removed'));
  await store.forgetImages(row('images.removed'));
  const rows = (await store.exportAudit({ limit: 100 })).map(({ kind, detail }) => [kind, detail]);
  assert.deepEqual(rows.slice(1), [
    ['rename', { person: person.id }],
    ['sample.removed', { sample: first, person: person.id }],
    ['import', { ids: [person.id], people: 0, samples: 0 }],
    ['unknown.removed', { faces: 0 }],
    ['images.removed', { images: 0 }],
  ]);
  const before = await store.people();
  await store.stop();

  const db = new Database(join(directory, 'gallery.db'));
  db.exec("CREATE TRIGGER no_more BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no more rows'); END");
  db.close();
  const { store: full } = await openStore(t, { directory });
  const changes: readonly (() => Promise<unknown>)[] = [
    () => full.renamePerson(person.id, 'Ada', row('rename')),
    () => full.addSamples(person.id, [sample(random)], row('enroll')),
    () => full.removeSample(second, row('sample.removed')),
    () => full.removePerson(person.id, [row('remove')]),
  ];
  for (const change of changes) await assert.rejects(change, /no more rows/);
  assert.deepEqual(await full.people(), before, 'also in memory');
  assert.equal((await full.samples(person.id)).length, 1);
});
