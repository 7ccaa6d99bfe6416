import { readFile, stat } from 'node:fs/promises';
import { FacedError } from '../domain/errors.js';
import { writeFileAtomic } from '../lib/atomic-file.js';
import type { PersonExport } from '../pipeline/ports.js';
import { BULK_OPTIONS } from './bulk-options.js';
import { type CommandIo, type ExitCode, parse, usage } from './command.js';
import { withHouse } from './house.js';
import { COMMON_OPTIONS } from './settings.js';

export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const [verb, ...rest] = argv;
  const action = verb === undefined ? undefined : ACTIONS[verb];
  if (action === undefined)
    throw usage(`people takes ${Object.keys(ACTIONS).join(', ')} (is ${verb ?? 'nothing'})`);
  return action(rest, io);
}

const ACTIONS: Readonly<Record<string, (argv: readonly string[], io: CommandIo) => Promise<ExitCode>>> = {
  list: async (argv, io) => {
    const { values } = parse(argv, COMMON_OPTIONS);
    const people = await withHouse(io, values, (house) => house.people());
    const text = people
      .map(({ id, name, samples }) => `${id}  ${String(samples).padStart(4)}  ${name}`)
      .join('\n');
    io.print({ people }, people.length === 0 ? 'the gallery is empty' : text);
    return 0;
  },
  rename: async (argv, io) => {
    const { values, positionals } = parse(argv, COMMON_OPTIONS);
    const [who, name] = positionals;
    if (who === undefined || name === undefined || positionals.length !== 2)
      throw usage('people rename takes WHO and NAME');
    const person = await withHouse(io, values, (house) => house.rename({ person: who, name, actor: 'cli' }));
    io.print({ person }, `renamed ${person.id}`);
    return 0;
  },
  remove: async (argv, io) => {
    const { values, positionals } = parse(argv, COMMON_OPTIONS);
    if (positionals.length === 0) throw usage('people remove takes at least one WHO');
    const removed = await withHouse(io, values, async (house) => {
      const done = [];
      for (const who of positionals) done.push(await house.remove({ person: who, actor: 'cli' }));
      return done;
    });
    io.print({ removed }, `removed ${removed.map(({ id }) => id).join(', ')}`);
    return 0;
  },
  export: async (argv, io) => {
    const { values, positionals } = parse(argv, { ...COMMON_OPTIONS, out: { type: 'string' } });
    const people = await withHouse(io, values, (house) =>
      house.exportPeople({ people: positionals, actor: 'cli' }),
    );
    const file = { faced: 1, people: people.map(toFile) };
    if (values.out === undefined) {
      if (!io.json) throw usage('people export takes --out FILE (or --json to print it)');
      io.print(file, '');
      return 0;
    }
    await writeFileAtomic(values.out, `${JSON.stringify(file)}\n`, 0o600);
    io.print(
      { out: values.out, people: people.length },
      `${people.length} people written to ${values.out}; it holds their embeddings in clear: keep it safe`,
    );
    return 0;
  },
  import: async (argv, io) => {
    const { values, positionals } = parse(argv, { ...COMMON_OPTIONS, ...BULK_OPTIONS });
    const [path] = positionals;
    if (path === undefined || positionals.length !== 1) throw usage('people import takes one FILE or folder');
    const info = await stat(path).catch(() => null);
    if (info?.isDirectory()) return (await import('./people-folder.js')).importFolder(path, values, io);
    const people = fromFile(await readImport(path));
    const added = await withHouse(io, values, (house) => house.importPeople({ people, actor: 'cli' }));
    io.print(added, `${added.people} people and ${added.samples} samples added`);
    return 0;
  },
};

interface PersonFile {
  id: string;
  name: string;
  createdAt: number;
  updatedAt: number;
  samples: {
    id: string;
    space: string;
    createdAt: number;
    quality: PersonExport['embeddings'][number]['quality'];
    embedding: string;
  }[];
}

/** Vectors as base64 of little-endian float32. */
function toFile({ id, name, createdAt, updatedAt, embeddings }: PersonExport): PersonFile {
  return {
    id,
    name,
    createdAt,
    updatedAt,
    samples: embeddings.map(({ vector, ...rest }) => ({
      ...rest,
      embedding: Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64'),
    })),
  };
}

async function readImport(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new FacedError('usage.not-found', `${path} cannot be read`, { cause });
  }
}

function fromFile(text: string): PersonExport[] {
  const wrong = (detail: string) =>
    usage(
      `this is not a file of faced people export (${detail})`,
      'make it with: faced people export --out FILE',
    );
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw wrong('not JSON');
  }
  if (typeof document !== 'object' || document === null || !('faced' in document) || document.faced !== 1)
    throw wrong('no version 1');
  if (!('people' in document) || !Array.isArray(document.people)) throw wrong('no people');
  return document.people.map((entry: PersonFile, index) => {
    const whole =
      typeof entry?.id === 'string' && typeof entry.name === 'string' && Array.isArray(entry.samples);
    if (!whole || !Number.isFinite(entry.createdAt) || !Number.isFinite(entry.updatedAt))
      throw wrong(`person ${index}`);
    return {
      id: entry.id,
      name: entry.name,
      createdAt: entry.createdAt,
      updatedAt: entry.updatedAt,
      samples: entry.samples.length,
      embeddings: entry.samples.map(({ embedding, ...rest }) => {
        const bytes = typeof embedding === 'string' ? Buffer.from(embedding, 'base64') : Buffer.alloc(0);
        if (bytes.length === 0 || bytes.length % 4 !== 0) throw wrong(`a sample of person ${index}`);
        return { ...rest, vector: new Float32Array(new Uint8Array(bytes).buffer) };
      }),
    };
  });
}
