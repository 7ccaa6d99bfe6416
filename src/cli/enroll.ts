import { FacedError } from '../domain/errors.js';
import type { FaceQuality } from '../domain/face.js';
import type { PersonRef } from '../domain/person.js';
import type { House } from '../pipeline/house.js';
import type { EnrolledPicture } from '../pipeline/service.js';
import { type CommandIo, type ExitCode, parse, usage } from './command.js';
import { withHouse } from './house.js';
import { expandPictures, readPicture } from './pictures.js';
import { COMMON_OPTIONS } from './settings.js';

interface Sample {
  readonly path: string;
  readonly accepted: boolean;
  /** Code and sentence. */
  readonly reason?: string;
  readonly quality: FaceQuality | null;
}

export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, COMMON_OPTIONS);
  const [name, ...paths] = positionals;
  if (name === undefined || paths.length === 0) throw usage('enroll takes a NAME and at least one PATH');
  const pictures = await expandPictures(paths);
  const { person, samples } = await withHouse(io, values, (house) =>
    enrollAll(house, { name, pictures, io }),
  );
  const accepted = samples.filter((sample) => sample.accepted).length;
  const refused = samples
    .filter((sample) => !sample.accepted)
    .map(({ path, reason }) => `  ${path}: ${reason}`);
  io.print(
    { person, samples },
    [`${accepted} of ${samples.length} pictures accepted`, ...refused].join('\n'),
  );
  return accepted > 0 ? 0 : 1;
}

async function enrollAll(
  house: House,
  { name, pictures, io }: { name: string; pictures: readonly string[]; io: CommandIo },
): Promise<{ person: PersonRef | null; samples: Sample[] }> {
  const bar = io.progress('enroll', pictures.length);
  const samples: Sample[] = [];
  let person: PersonRef | null = null;
  try {
    for (const path of pictures) {
      const outcome = await readPicture(path).then(
        (image) => house.enroll({ name, image, actor: 'cli' }),
        (thrown: unknown) => unreadable(FacedError.from(thrown)),
      );
      if (outcome.accepted) person = outcome.person;
      samples.push(sampleOf(path, outcome));
      bar.advance();
    }
  } finally {
    bar.stop();
  }
  return { person, samples };
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
