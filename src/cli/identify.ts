import { FacedError } from '../domain/errors.js';
import { aboutThePicture, type IdentifiedFace } from '../pipeline/service.js';
import { type CommandIo, type ExitCode, parse, usage } from './command.js';
import { withHouse } from './house.js';
import { expandPictures, readPicture } from './pictures.js';
import { COMMON_OPTIONS } from './settings.js';

interface IdentifiedImage {
  readonly path: string;
  readonly faces: readonly IdentifiedFace[];
  readonly error?: { readonly code: string; readonly message: string };
}

export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, COMMON_OPTIONS);
  if (positionals.length === 0) throw usage('identify takes at least one PATH');
  const paths = await expandPictures(positionals);
  const images = await withHouse(io, values, async (house) => {
    const bar = io.progress('identify', paths.length);
    const done: IdentifiedImage[] = [];
    try {
      for (const path of paths) {
        done.push(
          await readPicture(path)
            .then((image) => house.identify(image))
            .then(
              (faces) => ({ path, faces }),
              (thrown: unknown) => failed(path, FacedError.from(thrown)),
            ),
        );
        bar.advance();
      }
    } finally {
      bar.stop();
    }
    return done;
  });
  io.print({ images }, images.map(sentence).join('\n'));
  return images.every(({ error }) => error === undefined) ? 0 : 1;
}

function failed(path: string, error: FacedError): IdentifiedImage {
  if (!aboutThePicture(error) && error.code !== 'usage.not-found') throw error;
  return { path, faces: [], error: { code: error.code, message: error.message } };
}

function sentence({ path, faces, error }: IdentifiedImage): string {
  if (error !== undefined) return `${path}: ${error.message} (${error.code})`;
  if (faces.length === 0) return `${path}: no face`;
  const words = faces.map(({ decision, person, similarity }) => {
    const score = similarity === undefined ? '' : ` ${similarity.toFixed(2)}`;
    return `${person?.name ?? decision}${score}`;
  });
  return `${path}: ${words.join(', ')}`;
}
