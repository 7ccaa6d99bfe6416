import { isValid } from 'ulid';
import type { Embedding } from '../domain/embedding.js';
import { FacedError } from '../domain/errors.js';
import type { FaceQuality } from '../domain/face.js';
import { normaliseName } from '../domain/name.js';
import type { Consent, PersonExport } from '../pipeline/ports.js';
import type { Consents } from './consents.js';
import type { Db } from './database.js';
import type { SampleImages } from './images.js';
import type { People, SampleRow, StoredSample } from './people.js';

export interface TransferParts {
  readonly db: Db;
  readonly people: People;
  readonly images: SampleImages;
  readonly consents: Consents;
}

/** People with vectors and pictures in clear, for another device or a file that its owner keeps. All people when `ids` is undefined. */
export function exportPeople(
  { db, people, images, consents }: TransferParts,
  ids: readonly string[] | undefined,
): PersonExport[] {
  for (const id of ids ?? []) people.mustExist(id);
  const samplesOf = db.prepare<[string], SampleRow>('SELECT * FROM samples WHERE person_id = ? ORDER BY id');
  return people
    .list()
    .filter(({ id }) => ids?.includes(id) ?? true)
    .map((person) => ({
      ...person,
      embeddings: samplesOf.all(person.id).map((row) => ({
        id: row.id,
        space: row.space,
        vector: people.openVector(row),
        quality: JSON.parse(row.quality) as FaceQuality,
        createdAt: row.created_at,
        ...given('image', images.of(row.id) ?? undefined),
      })),
      ...given('consents', someOf(consents.list(person.id))),
    }));
}

interface Plan {
  readonly added: Omit<PersonExport, 'embeddings' | 'samples'>[];
  readonly renamed: { id: string; name: string; updatedAt: number }[];
  readonly samples: StoredSample[];
  readonly consents: Consent[];
}

/**
 * The union by ULID. What has a tombstone stays deleted: an id is never used again, so whoever still has it did not know.
 * Of two names for one id the one changed last holds. A new id with the name of somebody who is here already is the
 * same person, enrolled twice: the samples join the one who is here. `within` runs in the same transaction.
 */
export function importPeople(
  { db, people, consents }: TransferParts,
  incoming: readonly PersonExport[],
  within: (added: { people: number; samples: number }) => void = () => {},
): { people: number; samples: number } {
  const plan = makePlan(db, people, incoming);
  const counts = { people: plan.added.length, samples: plan.samples.length };
  const changes = plan.added.length + plan.renamed.length + plan.samples.length + plan.consents.length;
  if (changes === 0) within(counts);
  else
    people.change(() => {
      for (const person of plan.added) people.insertPerson(person);
      for (const { id, name, updatedAt } of plan.renamed) people.updateName(id, name, updatedAt);
      for (const sample of plan.samples) people.insertSample(sample);
      for (const consent of plan.consents) consents.insert(consent);
      within(counts);
    });
  for (const { id, name } of [...plan.added, ...plan.renamed]) people.nameChanged(id, name);
  for (const sample of plan.samples) people.indexed(sample);
  return counts;
}

function makePlan(db: Db, people: People, incoming: readonly PersonExport[]): Plan {
  const plan: Plan = { added: [], renamed: [], samples: [], consents: [] };
  const buried = db.prepare('SELECT 1 FROM tombstones WHERE id = ?').pluck();
  const updatedAt = db.prepare('SELECT updated_at FROM people WHERE id = ?').pluck();
  const known = db.prepare('SELECT 1 FROM consents WHERE id = ?').pluck();
  const idOfNewName = new Map<string, string>();
  const newPeople = new Set<string>();
  const newSamples = new Set<string>();
  const peers = new Map<string, Embedding>();
  for (const person of incoming) {
    checkId(person.id);
    if (buried.get(person.id) !== undefined) continue;
    const name = normaliseName(person.name);
    const namesake = people.findByName(name) ?? idOfNewName.get(name);
    let target = person.id;
    if (people.has(person.id)) {
      const newer = person.updatedAt > (updatedAt.get(person.id) as number);
      if (newer && namesake === undefined)
        plan.renamed.push({ id: person.id, name, updatedAt: person.updatedAt });
    } else if (namesake !== undefined) {
      target = namesake;
    } else if (!newPeople.has(person.id)) {
      const { id, createdAt } = person;
      newPeople.add(id);
      plan.added.push({ id, name, createdAt: time(createdAt), updatedAt: time(person.updatedAt) });
      idOfNewName.set(name, id);
    }
    for (const consent of person.consents ?? []) {
      checkId(consent.id);
      if (known.get(consent.id) === undefined) plan.consents.push({ ...consent, person: target });
    }
    for (const { id, space, vector, quality, createdAt, image } of person.embeddings) {
      checkId(id);
      if (buried.get(id) !== undefined || people.hasSample(id) || newSamples.has(id)) continue;
      newSamples.add(id);
      const embedding = { space, vector };
      people.checkEmbedding(embedding, peers.get(space));
      peers.set(space, embedding);
      const rest = { quality: checked(quality), createdAt: time(createdAt) };
      const sample = { id, person: target, embedding, ...rest };
      plan.samples.push(image === undefined ? sample : { ...sample, image });
    }
  }
  return plan;
}

function given<Key extends string, Value>(key: Key, value: Value | undefined): { [K in Key]?: Value } {
  return value === undefined ? {} : ({ [key]: value } as { [K in Key]: Value });
}

function someOf<Value>(values: readonly Value[]): readonly Value[] | undefined {
  return values.length === 0 ? undefined : values;
}

function checkId(id: string): void {
  if (isValid(id)) return;
  throw malformed('An id is not a ULID.');
}

const MEASURES = ['size', 'sharpness', 'yaw', 'pitch', 'roll', 'brightness', 'score'] as const;

/** Only what is known of a quality, each a number: it is shown and compared later. */
function checked(quality: FaceQuality): FaceQuality {
  const given: Partial<Record<string, unknown>> = quality instanceof Object ? { ...quality } : {};
  const numbers = MEASURES.map((name) => {
    const value = given[name];
    if (typeof value === 'number' && Number.isFinite(value)) return [name, value] as const;
    throw malformed(`A sample's quality has no number for ${name}.`);
  });
  return Object.fromEntries(numbers) as Record<(typeof MEASURES)[number], number>;
}

function time(milliseconds: number): number {
  if (Number.isSafeInteger(milliseconds) && milliseconds >= 0) return milliseconds;
  throw malformed('A time is not a number of milliseconds since 1970.');
}

function malformed(message: string): FacedError {
  return new FacedError('gallery.invalid-sample', message, { fix: 'Export the people again.' });
}
