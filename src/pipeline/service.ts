import type { Decision } from '../domain/decision.js';
import { type ErrorCode, FacedError } from '../domain/errors.js';
import type { FaceQuality } from '../domain/face.js';
import type { Match, Person, PersonRef } from '../domain/person.js';
import type { AnalysedFace, AuditRow, AuditState, PersonExport, Store, Vision } from './ports.js';

/** The answer for one picture that was to be learnt from. */
export type EnrolledPicture =
  | { readonly accepted: true; readonly person: PersonRef; readonly quality: FaceQuality }
  | {
      readonly accepted: false;
      readonly code: ErrorCode;
      /** For people. */
      readonly reason: string;
      readonly quality: FaceQuality | null;
    };

export interface IdentifiedFace {
  /** x, y, width, height in pixels of the picture. */
  readonly box: readonly [number, number, number, number];
  readonly landmarks: readonly (readonly [number, number])[];
  readonly score: number;
  readonly liveness: number | null;
  readonly decision: Decision['kind'];
  readonly person?: PersonRef;
  readonly similarity?: number;
  readonly quality: FaceQuality;
}

/** How a single look at a face is judged, given what the gallery says; it follows the gallery's size. */
export interface Judge {
  judge(face: AnalysedFace, match: Match | null): Decision;
  /** To be called after every change of people or samples. */
  refresh(): Promise<void>;
  /** Rejects with promise.unmeasured when the promise could not be kept with so many more people and samples. */
  allow(more: { people: number; samples: number }): Promise<void>;
}

export interface ServiceDeps {
  readonly vision: Pick<Vision, 'analyse'>;
  readonly store: Store;
  readonly judge: Judge;
  /** Told after every change of the gallery; the change is done when this is. */
  readonly onGalleryChanged?: () => void | Promise<void>;
}

/**
 * A second face counts as a bystander, and does not spoil a picture for enrolment, when it is too poor to be recognised
 * or the first one's box has at least this many times its area.
 */
const BYSTANDER_AREA_RATIO = 3;

/** What can be called from outside, over the control socket. */
export const SERVICE_METHODS = [
  'enroll',
  'identify',
  'people',
  'rename',
  'remove',
  'exportPeople',
  'importPeople',
  'verifyAudit',
  'exportAudit',
] as const satisfies readonly (keyof FacedService)[];

/** What people ask of faced one picture or one person at a time; the same behind the command line, the control socket and MQTT. */
export class FacedService {
  readonly #deps: ServiceDeps;

  constructor(deps: ServiceDeps) {
    this.#deps = deps;
  }

  /** Learns the one face of a picture as a sample of `name`; the person is made with the first accepted sample. */
  async enroll(request: { name: string; image: Uint8Array; actor: string }): Promise<EnrolledPicture> {
    const { vision, store, judge } = this.#deps;
    let face: AnalysedFace;
    try {
      face = subjectOf((await vision.analyse(request.image)).faces);
    } catch (thrown) {
      const error = FacedError.from(thrown);
      if (!aboutThePicture(error)) throw error;
      return { accepted: false, code: error.code, reason: error.message, quality: null };
    }
    const { quality, embedding } = face;
    if (embedding === null) {
      const reason = `the face is not good enough (${face.poor ?? 'quality'})`;
      return { accepted: false, code: 'enroll.poor', reason, quality };
    }
    const known = (await store.people()).some(
      (person) => person.name === request.name.normalize('NFC').trim(),
    );
    await judge.allow({ people: known ? 0 : 1, samples: 1 });
    const person = await store.ensurePerson(request.name);
    await store.addSamples(person.id, [{ embedding, quality }]);
    await store.audit({ kind: 'enroll', actor: request.actor, detail: { person: person.id, samples: 1 } });
    await this.#changed();
    return { accepted: true, person, quality };
  }

  /** Every face of a picture against the gallery. */
  async identify(image: Uint8Array): Promise<IdentifiedFace[]> {
    const { vision, store, judge } = this.#deps;
    const { faces } = await vision.analyse(image);
    const embeddings = faces.flatMap((face) => face.embedding ?? []);
    const matches = await store.search(embeddings);
    let next = 0;
    return faces.map((face) => {
      const match = face.embedding === null ? null : (matches[next++] ?? null);
      return identified(face, match, judge.judge(face, match));
    });
  }

  verifyAudit(): Promise<AuditState> {
    return this.#deps.store.verifyAudit();
  }

  exportAudit(request: { after: number; limit: number }): Promise<AuditRow[]> {
    return this.#deps.store.exportAudit(request);
  }

  people(): Promise<Person[]> {
    return this.#deps.store.people();
  }

  async rename(request: { person: string; name: string; actor: string }): Promise<PersonRef> {
    const { id } = await this.#find(request.person);
    await this.#deps.store.renamePerson(id, request.name);
    await this.#deps.store.audit({ kind: 'rename', actor: request.actor, detail: { person: id } });
    await this.#changed();
    return this.#find(id);
  }

  async remove(request: { person: string; actor: string }): Promise<PersonRef> {
    const person = await this.#find(request.person);
    await this.#deps.store.removePerson(person.id);
    await this.#deps.store.audit({ kind: 'remove', actor: request.actor, detail: { person: person.id } });
    await this.#changed();
    return { id: person.id, name: person.name };
  }

  async exportPeople(request: { people: readonly string[]; actor: string }): Promise<PersonExport[]> {
    const ids = await Promise.all(request.people.map(async (one) => (await this.#find(one)).id));
    const exported = await this.#deps.store.exportPeople(ids.length === 0 ? undefined : ids);
    await this.#deps.store.audit({
      kind: 'export',
      actor: request.actor,
      detail: { people: exported.map(({ id }) => id) },
    });
    return exported;
  }

  async importPeople(request: {
    people: readonly PersonExport[];
    actor: string;
  }): Promise<{ people: number; samples: number }> {
    const samples = request.people.reduce((sum, person) => sum + person.embeddings.length, 0);
    await this.#deps.judge.allow({ people: request.people.length, samples });
    const added = await this.#deps.store.importPeople(request.people);
    await this.#deps.store.audit({ kind: 'import', actor: request.actor, detail: { ...added } });
    await this.#changed();
    return added;
  }

  /** By id, else by exact name. */
  async #find(idOrName: string): Promise<Person> {
    const people = await this.#deps.store.people();
    const name = idOrName.normalize('NFC').trim();
    const person = people.find(({ id }) => id === idOrName) ?? people.find((one) => one.name === name);
    if (person === undefined) {
      throw new FacedError('gallery.not-found', 'nobody has this id or name', {
        fix: 'faced people list shows who is there',
      });
    }
    return person;
  }

  async #changed(): Promise<void> {
    await this.#deps.judge.refresh();
    await this.#deps.onGalleryChanged?.();
  }
}

/** The one face that a picture for enrolment is of. Throws `enroll.no-face` or `enroll.several-faces`. */
export function subjectOf<Look extends Pick<AnalysedFace, 'face' | 'poor'>>(faces: readonly Look[]): Look {
  const [first, ...others] = [...faces].sort((a, b) => area(b) - area(a));
  const second = others.find(({ poor }) => poor === null);
  if (first === undefined) {
    throw new FacedError('enroll.no-face', 'no face was found', {
      fix: 'use a picture in which the face is upright, lit and at least 80 pixels wide',
    });
  }
  if (second !== undefined && area(first) < BYSTANDER_AREA_RATIO * area(second)) {
    throw new FacedError('enroll.several-faces', `${faces.length} faces were found`, {
      fix: 'use a picture of this person alone',
    });
  }
  return first;
}

function area({ face }: Pick<AnalysedFace, 'face'>): number {
  return face.box.width * face.box.height;
}

/** True for what is wrong with one picture, so that the others can go on. */
export function aboutThePicture(error: FacedError): boolean {
  return error.code.startsWith('image.') || error.code.startsWith('enroll.');
}

function identified(face: AnalysedFace, match: Match | null, decision: Decision): IdentifiedFace {
  const { box, landmarks, score } = face.face;
  return {
    box: [box.x, box.y, box.width, box.height],
    landmarks: landmarks.map(({ x, y }) => [x, y] as const),
    score,
    liveness: face.liveness,
    decision: decision.kind,
    ...(decision.kind === 'known' ? { person: decision.person } : {}),
    ...(match === null ? {} : { similarity: match.similarity }),
    quality: face.quality,
  };
}
