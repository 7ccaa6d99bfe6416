import type { Decision } from '../domain/decision.js';
import type { EmbeddingSpace } from '../domain/embedding.js';
import { type ErrorCode, FacedError } from '../domain/errors.js';
import type { FaceQuality } from '../domain/face.js';
import { normaliseName } from '../domain/name.js';
import type { Match, Person, PersonRef } from '../domain/person.js';
import type { CallContext } from '../lib/rpc.js';
import { CameraEnrolment } from './camera-enrolment.js';
import { Enroller, type EnrolmentRules, type Look, type RefusedImport } from './enroller.js';
import { mustFind } from './find-person.js';
import { Keeping, type PersonKey } from './keeping.js';
import type {
  AnalysedFace,
  AuditFilter,
  AuditRow,
  AuditState,
  HeadClaim,
  PersonExport,
  Store,
  Vision,
} from './ports.js';

/** What every enrolment may say. */
export interface EnrolOptions {
  readonly actor: string;
  /** Take the face although it looks like somebody else's, or unlike this person's others. */
  readonly force?: boolean;
  /** Version of the text that the person agreed to, and when. */
  readonly consent?: { readonly version: string; readonly givenAt: number };
}

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
  readonly vision: Pick<Vision, 'analyse' | 'snapshot' | 'embedCrops'>;
  readonly store: Store;
  readonly judge: Judge;
  /** What a new sample is held to; asked at each enrolment. */
  readonly enrolment: () => EnrolmentRules;
  /** The recogniser's, for what has to be embedded again. */
  readonly space: EmbeddingSpace;
  /** Cosine from which two looks of one minute are the same face. */
  readonly sameFace: number;
  /** Cameras in front of which somebody can be learnt. */
  readonly cameras: readonly string[];
  /** Left out where nobody has any. */
  readonly keysOf?: (person: string) => Promise<readonly PersonKey[]>;
  /** Told after every change of the gallery; the change is done when this is. */
  readonly onGalleryChanged?: () => void | Promise<void>;
}

/**
 * A second face counts as a bystander, and does not spoil a picture for enrolment, when it is too poor to be recognised
 * or the first one's box has at least this many times its area.
 */
const BYSTANDER_AREA_RATIO = 3;

/** People whom a row of the audit about an import names; who comes after them is counted alone. */
const MOST_IDS = 1000;

/** What can be called from outside, over the control socket. */
export const SERVICE_METHODS = [
  'enroll',
  'enrollPictures',
  'enrollFromCamera',
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
  readonly #enroller: Enroller;
  readonly #cameraEnrolment: CameraEnrolment;
  /** Pictures, consent, strangers, backups: what is kept, and how it is forgotten. */
  readonly keeping: Keeping;

  constructor(deps: ServiceDeps) {
    const { store, judge, vision, sameFace } = deps;
    this.#deps = deps;
    this.#enroller = new Enroller({
      store,
      rules: () => deps.enrolment(),
      allow: (more) => judge.allow(more),
    });
    this.#cameraEnrolment = new CameraEnrolment({ vision, sameFace });
    this.keeping = new Keeping({
      ...{ store, vision, space: deps.space, enroller: this.#enroller },
      allow: (more) => judge.allow(more),
      keysOf: deps.keysOf ?? (async () => []),
      changed: () => this.#changed(),
    });
  }

  /** Learns the one face of a picture as a sample of `name`; the person is made with the first accepted sample. */
  async enroll(request: EnrolOptions & { name: string; image: Uint8Array }): Promise<EnrolledPicture> {
    const { image, ...rest } = request;
    const [outcome] = await this.enrollPictures({ ...rest, images: [image] });
    if (outcome === undefined) throw new FacedError('internal', 'a picture was not answered');
    return outcome;
  }

  /** Learns several pictures of one person, which are judged together: one of somebody else among them is an outlier. */
  async enrollPictures(
    request: EnrolOptions & { name: string; images: readonly Uint8Array[] },
  ): Promise<EnrolledPicture[]> {
    const { images, ...rest } = request;
    const answers: (EnrolledPicture | Learnable)[] = [];
    for (const image of images) answers.push(await this.#learnable(image));
    const faces = answers.filter((one): one is Learnable => 'look' in one);
    const learnt = await this.#learn({ ...rest, from: 'picture' }, faces);
    let next = 0;
    return answers.map((one) => ('look' in one ? (learnt[next++] ?? missing()) : one));
  }

  /** Leads somebody in front of a camera through a few good shots. Says what is wrong by `progress`, which is told of each change. */
  async enrollFromCamera(
    request: EnrolOptions & { name: string; camera: string | null },
    context: CallContext,
  ): Promise<EnrolledPicture[]> {
    const { name, force } = request;
    const camera = this.#camera(request.camera);
    // Said before anybody stands still for it.
    normaliseName(name);
    const shots = await this.#cameraEnrolment.take({
      ...{ name, camera, signal: context.signal, onProgress: context.progress },
      onFirstShot: async ({ embedding }) => {
        if (embedding !== null && force !== true) await this.#enroller.mustBeFree(name, embedding);
      },
    });
    const { camera: _camera, ...rest } = request;
    return this.#learn({ ...rest, from: 'camera' }, shots.flatMap(asLearnable));
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

  verifyAudit(claim?: HeadClaim): Promise<AuditState> {
    return this.#deps.store.verifyAudit(claim);
  }

  exportAudit(request: AuditFilter): Promise<AuditRow[]> {
    return this.#deps.store.exportAudit(request);
  }

  people(): Promise<Person[]> {
    return this.#deps.store.people();
  }

  async rename(request: { person: string; name: string; actor: string }): Promise<PersonRef> {
    const { id } = await this.#find(request.person);
    const row = { kind: 'rename', actor: request.actor, detail: { person: id } };
    await this.#deps.store.renamePerson(id, request.name, row);
    await this.#changed();
    return this.#find(id);
  }

  async remove(request: { person: string; actor: string }): Promise<PersonRef> {
    const person = await this.#find(request.person);
    const row = { kind: 'remove', actor: request.actor, detail: { person: person.id } };
    await this.#deps.store.removePerson(person.id, [row]);
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

  /** Joins people of another device. What is a duplicate, an outlier or nothing new is not taken, and said. */
  async importPeople(request: {
    people: readonly PersonExport[];
    actor: string;
    force?: boolean;
  }): Promise<{ people: number; samples: number; refused?: RefusedImport[] }> {
    const { store, judge } = this.#deps;
    const options = request.force === undefined ? {} : { force: request.force };
    const { people, refused, more } = await this.#enroller.checkImport(request.people, options);
    const samples = more.spaces.filter((space) => space === this.#deps.space).length;
    await judge.allow({ people: more.people, samples });
    const ids = people.map(({ id }) => id).slice(0, MOST_IDS);
    const detail = { ids, refused: refused.length };
    const added = await store.importPeople(people, { kind: 'import', actor: request.actor, detail });
    await this.#changed();
    return refused.length === 0 ? added : { ...added, refused };
  }

  /** By id, else by exact name. */
  async #find(idOrName: string): Promise<Person> {
    return mustFind(await this.#deps.store.people(), idOrName);
  }

  /** The face of a picture, or why there is none to learn. */
  async #learnable(image: Uint8Array): Promise<EnrolledPicture | Learnable> {
    let face: AnalysedFace;
    try {
      face = subjectOf((await this.#deps.vision.analyse(image, { crops: true })).faces);
    } catch (thrown) {
      const error = FacedError.from(thrown);
      if (!aboutThePicture(error)) throw error;
      return { accepted: false, code: error.code, reason: error.message, quality: null };
    }
    const [learnable] = asLearnable(face);
    if (learnable !== undefined) return learnable;
    const reason = `the face is not good enough (${face.poor ?? 'quality'})`;
    return { accepted: false, code: 'enroll.poor', reason, quality: face.quality };
  }

  async #learn(
    request: EnrolOptions & { name: string; from: string },
    faces: readonly Learnable[],
  ): Promise<EnrolledPicture[]> {
    if (faces.length === 0) return [];
    const looks = faces.map(({ look }) => look);
    const { person, verdicts } = await this.#enroller.enroll({ ...request, looks });
    if (person !== null) await this.#changed();
    return looks.map(({ quality }, index) => {
      const verdict = verdicts[index] ?? missing();
      if (!verdict.accepted) return { ...verdict, quality };
      return { accepted: true, person: person ?? missing(), quality };
    });
  }

  #camera(asked: string | null): string {
    const { cameras } = this.#deps;
    const [only] = cameras;
    if (asked !== null && cameras.includes(asked)) return asked;
    if (asked === null && only !== undefined && cameras.length === 1) return only;
    const names = cameras.length === 0 ? 'there is none' : `the cameras are ${cameras.join(', ')}`;
    throw new FacedError(
      'source.invalid',
      asked === null ? `a camera must be named: ${names}` : `there is no camera ${asked}: ${names}`,
      { fix: 'name one of the cameras of faced.yaml' },
    );
  }

  async #changed(): Promise<void> {
    await this.#deps.judge.refresh();
    await this.#deps.onGalleryChanged?.();
  }
}

/** A face that is good enough to be learnt. */
interface Learnable {
  readonly look: Look;
}

function asLearnable({ embedding, quality, crop }: AnalysedFace): Learnable[] {
  if (embedding === null) return [];
  return [{ look: crop === undefined ? { embedding, quality } : { embedding, quality, crop } }];
}

function missing(): never {
  throw new FacedError('internal', 'an answer is missing');
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
