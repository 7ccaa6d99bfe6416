import { stat } from 'node:fs/promises';
import { FacedError } from '../domain/errors.js';
import type { PersonRef } from '../domain/person.js';
import { writeFileAtomic } from '../lib/atomic-file.js';
import { mustFind } from '../pipeline/find-person.js';
import type { House } from '../pipeline/house.js';
import { BULK_OPTIONS } from './bulk-options.js';
import { type CommandIo, type ExitCode, parse, usage } from './command.js';
import { withHouse } from './house.js';
import { DATA_ACTIONS } from './people-data.js';
import { fromFile, type PersonFile, readImport, toFile } from './people-file.js';
import { unknownAction } from './people-unknown.js';
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
    const { people, consents } = await withHouse(io, values, async (house) => ({
      people: await house.people(),
      consents: await house.consents({ person: null }),
    }));
    const latest = new Map(consents.map((consent) => [consent.person, consent]));
    const text = people
      .map(({ id, name, samples }) => {
        const consent = latest.get(id);
        const agreed = consent === undefined ? '' : `  (consent: ${consent.version})`;
        return `${id}  ${String(samples).padStart(4)}  ${name}${agreed}`;
      })
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
      const people = await house.people();
      // Every name is looked up before anybody goes: a slip in the last one costs nobody.
      const ids = new Set(positionals.map((who) => mustFind(people, who).id));
      const done: PersonRef[] = [];
      for (const person of ids) {
        try {
          done.push(await house.remove({ person, actor: 'cli' }));
        } catch (thrown) {
          throw halfRemoved(thrown, done);
        }
      }
      return done;
    });
    io.print({ removed }, `removed ${removed.map(({ id }) => id).join(', ')}`);
    return 0;
  },
  export: async (argv, io) => {
    const { values, positionals } = parse(argv, { ...COMMON_OPTIONS, out: { type: 'string' } });
    const people = await withHouse(io, values, async (house) => {
      if (positionals.length > 0) return Promise.all(positionals.map((who) => allAbout(house, who)));
      return (await house.exportPeople({ people: [], actor: 'cli' })).map(toFile);
    });
    const file = { faced: 1, people };
    if (values.out === undefined) {
      if (!io.json) throw usage('people export takes --out FILE (or --json to print it)');
      io.print(file, '');
      return 0;
    }
    await writeFileAtomic(values.out, `${JSON.stringify(file)}\n`, 0o600);
    io.print(
      { out: values.out, people: people.length },
      `${people.length} people written to ${values.out}; it holds embeddings and pictures in clear: keep it safe`,
    );
    return 0;
  },
  import: async (argv, io) => {
    const { values, positionals } = parse(argv, {
      ...{ ...COMMON_OPTIONS, ...BULK_OPTIONS },
      force: { type: 'boolean', default: false },
    });
    const [path] = positionals;
    if (path === undefined || positionals.length !== 1) throw usage('people import takes one FILE or folder');
    const info = await stat(path).catch(() => null);
    if (info?.isDirectory()) return (await import('./people-folder.js')).importFolder(path, values, io);
    const people = fromFile(await readImport(path));
    const request = { people, actor: 'cli', ...(values.force ? { force: true } : {}) };
    const added = await withHouse(io, values, (house) => house.importPeople(request));
    const refused = (added.refused ?? []).map(
      ({ person, sample, code, reason }) => `  ${person}, sample ${sample}: ${code}: ${reason}`,
    );
    const said = `${added.people} people and ${added.samples} samples added`;
    io.print(added, [said, ...refused].join('\n'));
    return 0;
  },
  unknown: unknownAction,
  ...DATA_ACTIONS,
};

/** Somebody by name: all that is held about them, for them; another device takes from it what it can use. */
async function allAbout(house: House, who: string): Promise<PersonFile> {
  const { person, ...rest } = await house.subjectData({ person: who, actor: 'cli' });
  return { ...toFile(person), ...rest };
}

/** Removal cannot be taken back, so an error in the middle says who is gone already. */
function halfRemoved(thrown: unknown, done: readonly PersonRef[]): FacedError {
  const error = FacedError.from(thrown);
  if (done.length === 0) return error;
  const gone = done.map(({ id }) => id).join(', ');
  return new FacedError(error.code, `${error.message} Already removed: ${gone}.`, {
    ...(error.fix !== undefined && { fix: error.fix }),
    cause: error,
  });
}
