import { writeFileAtomic } from '../lib/atomic-file.js';
import { type CommandIo, type ExitCode, parse, usage } from './command.js';
import { consentOf } from './consent.js';
import { withHouse } from './house.js';
import { COMMON_OPTIONS } from './settings.js';

/** Strangers who are kept for a while (`gallery.keepUnknownHours`). */
export async function unknownAction(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const [verb, ...rest] = argv;
  if (verb === 'list') return list(rest, io);
  if (verb === 'name') return name(rest, io);
  if (verb === 'show') return show(rest, io);
  if (verb === 'forget') return forget(rest, io);
  throw usage(
    `people unknown takes list, name GROUP NAME, show GROUP --out FILE, or forget GROUP… | --all (is ${verb ?? 'nothing'})`,
  );
}

async function list(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values } = parse(argv, COMMON_OPTIONS);
  const unknown = await withHouse(io, values, (house) => house.unknownGroups());
  const lines = unknown.map(
    ({ group, faces, lastSeen, expiresAt, cameras }) =>
      `${group}  ${String(faces).padStart(3)} faces  last ${time(lastSeen)}  kept until ${time(expiresAt)}  ${cameras.join(', ')}`,
  );
  io.print({ unknown }, unknown.length === 0 ? 'no stranger is kept' : lines.join('\n'));
  return 0;
}

async function name(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, {
    ...COMMON_OPTIONS,
    force: { type: 'boolean', default: false },
    consent: { type: 'string' },
  });
  const [group, called] = positionals;
  if (group === undefined || called === undefined || positionals.length !== 2)
    throw usage('people unknown name takes GROUP and NAME');
  const named = await withHouse(io, values, (house) =>
    house.nameUnknown({
      ...{ group, name: called, actor: 'cli' },
      ...(values.force ? { force: true } : {}),
      ...(values.consent === undefined ? {} : { consent: consentOf(values.consent) }),
    }),
  );
  io.print(named, `${named.person.id}: ${named.samples} samples learnt`);
  return 0;
}

async function show(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, { ...COMMON_OPTIONS, out: { type: 'string' } });
  const [group] = positionals;
  const { out } = values;
  if (group === undefined || positionals.length !== 1 || out === undefined)
    throw usage('people unknown show takes GROUP and --out FILE');
  const jpeg = await withHouse(io, values, (house) => house.unknownImage({ group }));
  await writeFileAtomic(out, jpeg, 0o600);
  io.print({ out, bytes: jpeg.byteLength }, `written to ${out}`);
  return 0;
}

async function forget(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, {
    ...COMMON_OPTIONS,
    all: { type: 'boolean', default: false },
  });
  if ((positionals.length === 0) === !values.all)
    throw usage('people unknown forget takes at least one GROUP, or --all');
  const { faces } = await withHouse(io, values, (house) =>
    house.forgetUnknown({ groups: positionals, actor: 'cli' }),
  );
  io.print({ faces }, `${faces} faces deleted`);
  return 0;
}

function time(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
}
