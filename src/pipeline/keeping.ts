import type { EmbeddingSpace } from '../domain/embedding.js';
import { FacedError } from '../domain/errors.js';
import type { RecognitionEvent } from '../domain/event.js';
import type { PersonRef, UnknownGroup } from '../domain/person.js';
import type { CallContext } from '../lib/rpc.js';
import type { Enroller } from './enroller.js';
import type { Verdict } from './enrolment.js';
import { mustFind } from './find-person.js';
import type {
  AuditRow,
  BackupTurn,
  Consent,
  MadeBackup,
  PersonExport,
  Reembedding,
  SampleInfo,
  SignedHead,
  Store,
  Vision,
} from './ports.js';

export interface KeepingDeps {
  readonly store: Store;
  readonly vision: Pick<Vision, 'embedCrops'>;
  /** The recogniser's. */
  readonly space: EmbeddingSpace;
  readonly enroller: Enroller;
  /** Rejects with promise.unmeasured when the promise could not be kept with so many more. */
  readonly allow: (more: { people: number; samples: number }) => Promise<void>;
  /** What somebody shows a door beside their face: which, never the secret. */
  readonly keysOf: (person: string) => Promise<readonly PersonKey[]>;
  /** After every change of people or samples. */
  readonly changed: () => Promise<void>;
}

/** That somebody has a code, badge or QR text. */
export interface PersonKey {
  readonly id: string;
  readonly method: string;
}

/** All that is held about one person. */
export interface SubjectData {
  readonly person: PersonExport;
  readonly consents: readonly Consent[];
  readonly keys: readonly PersonKey[];
  readonly events: readonly RecognitionEvent[];
  readonly audit: readonly AuditRow[];
}

/** What can be called from outside, over the control socket. */
export const KEEPING_METHODS = [
  'samples',
  'sampleImage',
  'removeSample',
  'merge',
  'forgetImages',
  'reembedding',
  'reembed',
  'consents',
  'recordConsent',
  'withdrawConsent',
  'subjectData',
  'unknownGroups',
  'unknownImage',
  'nameUnknown',
  'forgetUnknown',
  'auditHead',
  'backup',
  'rotateBackups',
] as const satisfies readonly (keyof Keeping)[];

const PAGE = 1000;
/** Crops embedded at a time: cameras get their turn in between. */
const REEMBED_BATCH = 8;

/** What is kept about people beyond their samples, and how it is shown, carried away and forgotten. */
export class Keeping {
  readonly #deps: KeepingDeps;

  constructor(deps: KeepingDeps) {
    this.#deps = deps;
  }

  // ---- samples and their pictures -----------------------------------------------------------------

  async samples(request: { person: string }): Promise<SampleInfo[]> {
    return this.#deps.store.samples(await this.#idOf(request.person));
  }

  /** The picture of a sample, JPEG, 112x112. Rejects with `gallery.no-image` when none was kept. */
  async sampleImage(request: { sample: string }): Promise<Uint8Array> {
    const image = await this.#deps.store.sampleImage(request.sample);
    if (image !== null) return image;
    throw new FacedError('gallery.no-image', 'no picture of this sample was kept', {
      fix: 'Set gallery.keepImages and enrol the person again.',
    });
  }

  async removeSample(request: { sample: string; actor: string }): Promise<void> {
    const { store, changed } = this.#deps;
    const { sample, actor } = request;
    await store.removeSample(sample, { kind: 'sample.removed', actor, detail: { sample } });
    await changed();
  }

  /** Two entries turned out to be one person: samples and pictures of `from` join `into`, and `from` is removed. */
  async merge(request: { into: string; from: string; actor: string }): Promise<PersonRef> {
    const { store, changed } = this.#deps;
    const people = await store.people();
    const [into, from] = [mustFind(people, request.into), mustFind(people, request.from)];
    if (into.id === from.id) throw new FacedError('http.conflict', 'these are the same entry already');
    const [exported] = await store.exportPeople([from.id]);
    const samples = (exported?.embeddings ?? []).map(({ space, vector, quality, image }) => ({
      ...{ embedding: { space, vector }, quality },
      ...(image === undefined ? {} : { image }),
    }));
    // First added, then removed: whatever fails in between, no sample is lost.
    const { actor } = request;
    const enrolled = { person: into.id, from: 'merge', samples: samples.length, removed: 0 };
    await store.addSamples(into.id, samples, { kind: 'enroll', actor, detail: enrolled });
    const detail = { into: into.id, from: from.id, samples: samples.length };
    await store.removePerson(from.id, [{ kind: 'merge', actor, detail }]);
    await changed();
    return { id: into.id, name: into.name };
  }

  /** Deletes every kept picture of samples; the samples stay. */
  async forgetImages(request: { actor: string }): Promise<{ images: number }> {
    const { store } = this.#deps;
    return {
      images: await store.forgetImages({ kind: 'images.removed', actor: request.actor, detail: {} }),
    };
  }

  /** Samples of another recogniser, which are never compared with the present one's. */
  reembedding(): Promise<Reembedding> {
    return this.#deps.store.reembedding(this.#deps.space);
  }

  /** Embeds again, by the present recogniser, what other ones have left and whose picture was kept. Can be called off and taken up again. */
  async reembed(
    request: { actor: string },
    context?: Pick<CallContext, 'progress' | 'signal'>,
  ): Promise<{ reembedded: number; failed: number; withoutImage: number }> {
    const { store, vision, space, allow, changed } = this.#deps;
    const { waiting } = await this.reembedding();
    // Samples that join this space are met by every stranger.
    await allow({ people: 0, samples: waiting });
    let [reembedded, failed] = [0, 0];
    let after: string | undefined;
    while (context?.signal.aborted !== true) {
      const page = await store.imagesToReembed({
        ...{ space, limit: REEMBED_BATCH },
        ...(after === undefined ? {} : { after }),
      });
      after = page.at(-1)?.sample;
      if (after === undefined) break;
      const embeddings = await vision.embedCrops(page.map(({ image }) => image));
      const changes = page.flatMap(({ sample }, index) => {
        const embedding = embeddings[index];
        return embedding == null ? [] : [{ sample, embedding }];
      });
      await store.replaceEmbeddings(changes);
      reembedded += changes.length;
      failed += page.length - changes.length;
      context?.progress({ done: reembedded + failed, total: waiting });
    }
    const { withoutImage } = await this.reembedding();
    if (reembedded > 0) {
      const detail = { space, samples: reembedded };
      await store.audit({ kind: 'reembed', actor: request.actor, detail });
      await changed();
    }
    return { reembedded, failed, withoutImage };
  }

  // ---- consent and what a person may ask for -----------------------------------------------------------

  async consents(request: { person: string | null }): Promise<Consent[]> {
    const { store } = this.#deps;
    return request.person === null ? store.consents() : store.consents(await this.#idOf(request.person));
  }

  async recordConsent(request: {
    person: string;
    version: string;
    givenAt: number;
    actor: string;
  }): Promise<Consent> {
    return this.#deps.store.recordConsent({ ...request, person: await this.#idOf(request.person) });
  }

  /** Without consent there is nothing to recognise by: the withdrawal is recorded and the person removed, in one step. */
  async withdrawConsent(request: { person: string; actor: string }): Promise<PersonRef> {
    const { store, changed } = this.#deps;
    const { id, name } = mustFind(await store.people(), request.person);
    const detail = { person: id };
    const { actor } = request;
    await store.removePerson(id, [
      { kind: 'consent.withdrawn', actor, detail },
      { kind: 'remove', actor, detail },
    ]);
    await changed();
    return { id, name };
  }

  /** Everything that is held about one person. */
  async subjectData(request: { person: string; actor: string }): Promise<SubjectData> {
    const { store, keysOf } = this.#deps;
    const id = await this.#idOf(request.person);
    await store.audit({ kind: 'export', actor: request.actor, detail: { people: [id], subject: true } });
    const [exported] = await store.exportPeople([id]);
    if (exported === undefined) throw new FacedError('gallery.not-found', 'nobody has this id or name');
    const { consents = [], ...person } = exported;
    const events = await pages<RecognitionEvent>((last) =>
      store.events({ limit: PAGE, person: id, ...(last === undefined ? {} : { before: last.id }) }),
    );
    const audit = await pages<AuditRow>((last) =>
      store.exportAudit({ limit: PAGE, about: id, ...(last === undefined ? {} : { after: last.seq }) }),
    );
    return { person, consents, keys: await keysOf(id), events, audit };
  }

  // ---- strangers --------------------------------------------------------------------------------------

  /** Strangers who are kept, newest first; empty when none are to be kept. */
  unknownGroups(): Promise<UnknownGroup[]> {
    return this.#deps.store.unknownGroups();
  }

  /** The best picture of a stranger, JPEG, 112x112. */
  async unknownImage(request: { group: string }): Promise<Uint8Array> {
    const faces = await this.#deps.store.unknownFaces(request.group);
    const [best] = faces
      .filter(({ image }) => image !== null)
      .sort((a, b) => b.quality.score - a.quality.score);
    if (best?.image != null) return best.image;
    throw new FacedError('gallery.no-image', 'there is no such stranger, or no picture', {
      fix: 'faced people unknown list shows who is kept',
    });
  }

  /** Makes a stranger known: all kept faces become samples, as far as they say something new, and are not kept as a stranger's any more. */
  async nameUnknown(request: {
    group: string;
    name: string;
    actor: string;
    force?: boolean;
    consent?: { version: string; givenAt: number };
  }): Promise<{ person: PersonRef; samples: number; refused: number }> {
    const { store, enroller, changed, space } = this.#deps;
    const { group, ...rest } = request;
    const faces = await store.unknownFaces(group);
    const looks = faces
      .filter(({ embedding }) => embedding.space === space)
      .map(({ embedding, quality, image }) => ({
        embedding,
        quality,
        ...(image === null ? {} : { crop: image }),
      }));
    if (looks.length === 0)
      throw new FacedError('gallery.not-found', 'there is no such stranger', {
        fix: 'faced people unknown list shows who is kept',
      });
    const { person, verdicts } = await enroller.enroll({ ...rest, looks, from: 'unknown' });
    if (person === null) throw refusal(verdicts);
    await store.forgetUnknown({ groups: [group] });
    await changed();
    const samples = verdicts.filter(({ accepted }) => accepted).length;
    return { person, samples, refused: looks.length - samples };
  }

  /** `groups` empty: all of them. */
  async forgetUnknown(request: { groups: readonly string[]; actor: string }): Promise<{ faces: number }> {
    const { store } = this.#deps;
    const { groups, actor } = request;
    const which = groups.length === 0 ? 'all' : { groups };
    return { faces: await store.forgetUnknown(which, { kind: 'unknown.removed', actor, detail: {} }) };
  }

  // ---- audit and backups ------------------------------------------------------------------------------

  auditHead(): Promise<SignedHead | null> {
    return this.#deps.store.auditHead();
  }

  /** `path` is absolute: whoever asks may stand in another folder. */
  async backup(request: { path: string; actor: string }): Promise<MadeBackup> {
    const { store } = this.#deps;
    await store.audit({ kind: 'backup', actor: request.actor, detail: {} });
    return store.backup(request.path);
  }

  /** One turn of a folder of backups: a new one, who was deleted taken out of the older ones, all but the newest `keep` deleted. */
  async rotateBackups(request: { directory: string; keep: number; actor: string }): Promise<BackupTurn> {
    const { directory, keep, actor } = request;
    const { store } = this.#deps;
    await store.audit({ kind: 'backup', actor, detail: { keep } });
    return store.rotateBackups({ directory, keep });
  }

  async #idOf(person: string): Promise<string> {
    return mustFind(await this.#deps.store.people(), person).id;
  }
}

async function pages<Row>(next: (last: Row | undefined) => Promise<Row[]>): Promise<Row[]> {
  const all: Row[] = [];
  for (;;) {
    const page = await next(all.at(-1));
    all.push(...page);
    if (page.length < PAGE) return all;
  }
}

function refusal(verdicts: readonly Verdict[]): FacedError {
  const no = verdicts.find((verdict) => !verdict.accepted);
  if (no === undefined || no.accepted) return new FacedError('internal', 'an answer is missing');
  return new FacedError(no.code, no.reason);
}
