import type { Embedding, EmbeddingSpace } from '../domain/embedding.js';
import { type ErrorCode, FacedError } from '../domain/errors.js';
import type { FaceQuality } from '../domain/face.js';
import { normaliseName } from '../domain/name.js';
import type { PersonRef } from '../domain/person.js';
import { Serial } from '../lib/serial.js';
import { type Candidate, type EnrolmentLimits, planEnrolment, type Verdict } from './enrolment.js';
import { MeanEmbedding } from './mean-embedding.js';
import type { NewSample, PersonExport, Store } from './ports.js';

export interface EnrolmentRules {
  readonly limits: EnrolmentLimits;
  /** Cosine from which a face belongs to somebody who is in the gallery. */
  readonly duplicateFrom: number;
  /** Whether pictures of samples are kept. */
  readonly keepImages: boolean;
}

/** A face that is to be learnt. */
export interface Look {
  readonly embedding: Embedding;
  readonly quality: FaceQuality;
  /** The aligned crop as JPEG. */
  readonly crop?: Uint8Array;
}

export interface EnrolRequest {
  readonly name: string;
  readonly looks: readonly Look[];
  readonly actor: string;
  /** Where the looks come from: `picture`, `camera`, `unknown`. */
  readonly from: string;
  readonly force?: boolean;
  /** Version of the text that the person agreed to, and when. */
  readonly consent?: { readonly version: string; readonly givenAt: number };
}

export interface EnrolAnswer {
  /** Null when nothing was accepted. */
  readonly person: PersonRef | null;
  /** One for each look, in order. */
  readonly verdicts: readonly Verdict[];
}

/** A sample of an import that was not taken. */
export interface RefusedImport {
  readonly person: string;
  readonly sample: string;
  readonly code: ErrorCode;
  readonly reason: string;
}

export interface CheckedImport {
  readonly people: PersonExport[];
  readonly refused: RefusedImport[];
  /** What the gallery does not hold yet: people, and the space of each sample. */
  readonly more: { readonly people: number; readonly spaces: readonly EmbeddingSpace[] };
}

interface CheckedPerson {
  readonly embeddings: PersonExport['embeddings'][number][];
  readonly refused: RefusedImport[];
  /** The space of each sample that is not here yet. */
  readonly added: readonly EmbeddingSpace[];
  readonly isNew: boolean;
}

export interface EnrollerDeps {
  readonly store: Pick<Store, 'people' | 'ownSamples' | 'samples' | 'search' | 'enroll'>;
  /** Asked at each enrolment, since they move with the gallery and the configuration. Throws promise.unmeasured when nothing can be promised. */
  readonly rules: () => EnrolmentRules;
  /** Rejects with promise.unmeasured when the promise could not be kept with so many more. */
  readonly allow: (more: { people: number; samples: number }) => Promise<void>;
}

/** Who is in the gallery while an import is checked. */
interface Known {
  readonly ids: ReadonlySet<string>;
  /** Id by name. */
  readonly names: ReadonlyMap<string, string>;
}

/** Somebody of the same file. */
interface Seen {
  readonly name: string;
  readonly mean: MeanEmbedding;
}

/** Faces to samples: what is a duplicate, an outlier or nothing new is refused; the rest goes in at once. One at a time. */
export class Enroller {
  readonly #deps: EnrollerDeps;
  readonly #turns = new Serial();

  constructor(deps: EnrollerDeps) {
    this.#deps = deps;
  }

  enroll(request: EnrolRequest): Promise<EnrolAnswer> {
    return this.#turns.run(() => this.#enroll(request));
  }

  /** Rejects with `enroll.duplicate` when the face belongs to somebody else in the gallery. */
  async mustBeFree(name: string, embedding: Embedding): Promise<void> {
    const [match] = await this.#deps.store.search([embedding]);
    if (match == null || match.similarity < this.#deps.rules().duplicateFrom) return;
    if (match.person.id === (await this.#find(name))) return;
    throw new FacedError('enroll.duplicate', `this face is already ${match.person.name}`, {
      fix: 'rename that person, or enrol with --force when these are two people (twins)',
    });
  }

  async #enroll({ name, looks, force, actor, from, consent }: EnrolRequest): Promise<EnrolAnswer> {
    const { store, rules, allow } = this.#deps;
    const first = looks[0];
    if (first === undefined) return { person: null, verdicts: [] };
    const { limits, duplicateFrom, keepImages } = rules();
    const person = await this.#find(name);
    const plan = planEnrolment({
      person,
      own: person === null ? [] : await store.ownSamples(person, first.embedding.space),
      candidates: await this.#candidates(looks),
      duplicateFrom,
      limits,
      ...(force === undefined ? {} : { force }),
    });
    const add = looks
      .filter((_, index) => plan.verdicts[index]?.accepted)
      .map((look) => sampleOf(look, keepImages));
    if (add.length === 0) return { person: null, verdicts: plan.verdicts };
    await allow({ people: person === null ? 1 : 0, samples: add.length - plan.remove.length });
    const enrolled = await store.enroll({
      ...{ name, add, remove: plan.remove, actor, from },
      ...(consent === undefined ? {} : { consent }),
    });
    return { person: enrolled.person, verdicts: plan.verdicts };
  }

  /** What of an import may go in. People of whom nothing is left, although they had samples, are left out. */
  checkImport(people: readonly PersonExport[], options: { force?: boolean } = {}): Promise<CheckedImport> {
    return this.#turns.run(async () => {
      const refused: RefusedImport[] = [];
      const left: PersonExport[] = [];
      const more = { people: 0, spaces: [] as EmbeddingSpace[] };
      const there = await this.#deps.store.people();
      const known = {
        ids: new Set(there.map(({ id }) => id)),
        names: new Map(there.map(({ id, name }) => [name, id])),
      };
      const seen: Seen[] = [];
      for (const person of people) {
        const checked = await this.#checkPerson(person, { known, seen, force: options.force ?? false });
        const { embeddings, refused: no } = checked;
        refused.push(...no);
        if (embeddings.length === 0 && person.embeddings.length > 0) continue;
        left.push({ ...person, embeddings, samples: embeddings.length });
        if (checked.isNew) more.people++;
        more.spaces.push(...checked.added);
      }
      return { people: left, refused, more };
    });
  }

  async #checkPerson(
    person: PersonExport,
    { known, seen, force }: { known: Known; seen: Seen[]; force: boolean },
  ): Promise<CheckedPerson> {
    const { store, rules } = this.#deps;
    const { limits, duplicateFrom } = rules();
    const target = known.ids.has(person.id)
      ? person.id
      : (known.names.get(normaliseName(person.name)) ?? null);
    const there = new Set(target === null ? [] : (await store.samples(target)).map(({ id }) => id));
    const embeddings = person.embeddings.filter(({ id }) => there.has(id));
    const added: EmbeddingSpace[] = [];
    const refused: RefusedImport[] = [];
    for (const space of new Set(person.embeddings.map((one) => one.space))) {
      const fresh = person.embeddings.filter((one) => one.space === space && !there.has(one.id));
      const candidates = await this.#candidates(fresh.map(lookOf));
      const { verdicts } = planEnrolment({
        ...{ person: target, candidates, duplicateFrom, limits, force, replace: false },
        own: target === null ? [] : await store.ownSamples(target, space),
      });
      const taken = fresh.filter((_, index) => verdicts[index]?.accepted);
      const twin = force ? undefined : inTheSameFile(person, taken, { seen, duplicateFrom });
      if (twin === undefined) {
        embeddings.push(...taken);
        added.push(...taken.map((one) => one.space));
      }
      for (const [index, { id }] of fresh.entries()) {
        const verdict = verdicts[index];
        const no = verdict?.accepted === false ? verdict : twin;
        if (no !== undefined)
          refused.push({ person: person.name, sample: id, code: no.code, reason: no.reason });
      }
    }
    return { embeddings, refused, added, isNew: target === null };
  }

  async #candidates(looks: readonly Look[]): Promise<Candidate[]> {
    const matches = await this.#deps.store.search(looks.map(({ embedding }) => embedding));
    return looks.map(({ embedding, quality }, index) => ({
      embedding,
      quality,
      match: matches[index] ?? null,
    }));
  }

  async #find(name: string): Promise<string | null> {
    const normal = normaliseName(name);
    return (await this.#deps.store.people()).find((one) => one.name === normal)?.id ?? null;
  }
}

function sampleOf({ embedding, quality, crop }: Look, keepImage: boolean): NewSample {
  return keepImage && crop !== undefined ? { embedding, quality, image: crop } : { embedding, quality };
}

function lookOf({ space, vector, quality }: PersonExport['embeddings'][number]): Look {
  return { embedding: { space, vector }, quality };
}

/** Two people of one file who look alike: the means of their samples are compared, so that a long file costs no more than its people squared. */
function inTheSameFile(
  { name }: PersonExport,
  taken: PersonExport['embeddings'],
  { seen, duplicateFrom }: { seen: Seen[]; duplicateFrom: number },
): Extract<Verdict, { accepted: false }> | undefined {
  const [first, ...others] = taken.map(({ space, vector }) => ({ space, vector }));
  if (first === undefined) return undefined;
  const mean = new MeanEmbedding(first);
  for (const one of others) mean.add(one);
  const same = seen.find(
    (one) => one.name !== name && one.mean.similarityTo(mean.embedding()) >= duplicateFrom,
  );
  if (same === undefined) seen.push({ name, mean });
  else return { accepted: false, code: 'enroll.duplicate', reason: `this face is already ${same.name}` };
  return undefined;
}
