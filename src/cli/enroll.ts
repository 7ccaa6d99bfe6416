import { camerasOf } from '../assemble.js';
import { FacedError } from '../domain/errors.js';
import type { FaceQuality } from '../domain/face.js';
import type { PersonRef } from '../domain/person.js';
import type { EnrolProgress } from '../pipeline/camera-enrolment.js';
import type { House } from '../pipeline/house.js';
import type { EnrolledPicture, EnrolOptions } from '../pipeline/service.js';
import type { CameraSettings } from '../pipeline/vision-options.js';
import { videoDevices } from '../system/doctor-camera.js';
import { type CommandIo, type ExitCode, parse, usage } from './command.js';
import { consentOf } from './consent.js';
import { withHouse, withHouseAt } from './house.js';
import { expandPictures, readPicture } from './pictures.js';
import { COMMON_OPTIONS, type Settings, settings } from './settings.js';

interface Sample {
  /** Of the picture; `camera:ID` for a shot of a camera. */
  readonly path: string;
  readonly accepted: boolean;
  /** Code and sentence. */
  readonly reason?: string;
  readonly quality: FaceQuality | null;
}

interface Enrolled {
  readonly person: PersonRef | null;
  readonly samples: readonly Sample[];
}

const OPTIONS = {
  ...COMMON_OPTIONS,
  camera: { type: 'string' },
  source: { type: 'string' },
  force: { type: 'boolean', default: false },
  consent: { type: 'string' },
} as const;

/** Judged together, so that a stranger's picture among them is found; more would fill the control socket. */
const BATCH = 12;
const BATCH_BYTES = 32 * 1024 * 1024;

export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(withCamera(argv), OPTIONS);
  const [name, ...paths] = positionals;
  const fromCamera = values.camera !== undefined || values.source !== undefined;
  if (name === undefined || (paths.length === 0) === !fromCamera)
    throw usage('enroll takes a NAME and at least one PATH, or --camera [ID]');
  const request = {
    name,
    actor: 'cli',
    ...(values.force ? { force: true } : {}),
    ...(values.consent === undefined ? {} : { consent: consentOf(values.consent) }),
  };
  const { person, samples } = fromCamera
    ? await enrollFromCamera(request, values, io)
    : await withHouse(io, values, async (house) =>
        enrollAll(house, { request, pictures: await expandPictures(paths), io }),
      );
  const accepted = samples.filter((sample) => sample.accepted).length;
  const refused = samples
    .filter((sample) => !sample.accepted)
    .map(({ path, reason }) => `  ${path}: ${reason}`);
  const what = fromCamera ? 'shots' : 'pictures';
  io.print({ person, samples }, [`${accepted} of ${samples.length} ${what} accepted`, ...refused].join('\n'));
  return accepted > 0 ? 0 : 1;
}

/** `--camera` without an id is the only camera there is. */
function withCamera(argv: readonly string[]): string[] {
  return argv.flatMap((word, index) => {
    const next = argv[index + 1];
    return word === '--camera' && (next === undefined || next.startsWith('-')) ? ['--camera='] : [word];
  });
}

type Request = EnrolOptions & { readonly name: string };

async function enrollFromCamera(
  request: Request,
  values: { config?: string | undefined; camera?: string | undefined; source?: string | undefined },
  io: CommandIo,
): Promise<Enrolled> {
  const found = settings(io, values);
  const cameras = values.source === undefined ? camerasFor(found.config) : [cameraAt(values.source)];
  const camera = values.camera === undefined || values.camera === '' ? null : values.camera;
  const shots = await withHouseAt({ ...found, cameras: cameras.map(atItsPace) }, io, (house) =>
    house.enrollFromCamera(
      { ...request, camera },
      { progress: (step) => say(step as EnrolProgress), signal: io.signal },
    ),
  );
  return enrolledOf(
    shots.map((shot) => sampleOf(`camera:${camera ?? cameras[0]?.name ?? ''}`, shot)),
    shots,
  );
}

const say = ({ taken, wanted, text }: EnrolProgress): void => {
  process.stderr.write(`${taken}/${wanted}  ${text}\n`);
};

/** Those of the configuration, else the first one that is plugged in, as for `run`. */
function camerasFor(config: Settings['config']): CameraSettings[] {
  const configured = camerasOf(config);
  const [device] = videoDevices();
  return configured.length > 0 || device === undefined ? configured : [cameraAt(`v4l2:${device}`)];
}

function cameraAt(source: string): CameraSettings {
  return { name: 'camera', source, view: {} };
}

/** A clip that stands for a camera must not be over before anybody has looked. */
function atItsPace(camera: CameraSettings): CameraSettings {
  const { source } = camera;
  if (!source.startsWith('file:') || source.includes('pace=')) return camera;
  return { ...camera, source: `${source}${source.includes('?') ? '&' : '?'}pace=real` };
}

async function enrollAll(
  house: House,
  { request, pictures, io }: { request: Request; pictures: readonly string[]; io: CommandIo },
): Promise<Enrolled> {
  const bar = io.progress('enroll', pictures.length);
  const outcomes: EnrolledPicture[] = [];
  try {
    while (outcomes.length < pictures.length) {
      const batch = await readBatch(pictures.slice(outcomes.length, outcomes.length + BATCH));
      const images = batch.filter((one): one is Uint8Array => one instanceof Uint8Array);
      // The consent is given once, with the first sample.
      const { consent: _consent, ...again } = request;
      const asked = outcomes.some(({ accepted }) => accepted) ? again : request;
      const learnt = images.length === 0 ? [] : await house.enrollPictures({ ...asked, images });
      for (const one of batch) {
        const outcome = one instanceof Uint8Array ? learnt.shift() : unreadable(one);
        if (outcome === undefined) throw new FacedError('internal', 'a picture was not answered');
        outcomes.push(outcome);
        bar.advance();
      }
    }
  } finally {
    bar.stop();
  }
  return enrolledOf(
    outcomes.map((outcome, index) => sampleOf(pictures[index] ?? '', outcome)),
    outcomes,
  );
}

/** At least one; as many as fit into one call. */
async function readBatch(paths: readonly string[]): Promise<(Uint8Array | FacedError)[]> {
  const batch: (Uint8Array | FacedError)[] = [];
  let bytes = 0;
  for (const path of paths) {
    const picture = await readPicture(path).catch((thrown: unknown) => FacedError.from(thrown));
    bytes += picture instanceof FacedError ? 0 : picture.byteLength;
    if (batch.length > 0 && bytes > BATCH_BYTES) break;
    batch.push(picture);
  }
  return batch;
}

function enrolledOf(samples: readonly Sample[], outcomes: readonly EnrolledPicture[]): Enrolled {
  const last = outcomes.findLast((outcome) => outcome.accepted);
  return { person: last?.accepted ? last.person : null, samples };
}

function sampleOf(path: string, outcome: EnrolledPicture): Sample {
  const { accepted, quality } = outcome;
  return outcome.accepted
    ? { path, accepted, quality }
    : { path, accepted, reason: `${outcome.code}: ${outcome.reason}`, quality };
}

function unreadable({ code, message }: FacedError): EnrolledPicture {
  return { accepted: false, code, reason: message, quality: null };
}
