import { resolve } from 'node:path';
import { FacedError } from '../domain/errors.js';
import { inspectBackup, restoreBackup } from '../gallery/backup-file.js';
import type { MadeBackup } from '../pipeline/ports.js';
import { type CommandIo, type ExitCode, parse, usage } from './command.js';
import { withHouse } from './house.js';
import { COMMON_OPTIONS, type Settings, settings } from './settings.js';

export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const [verb, ...rest] = argv;
  if (verb === 'create') return create(rest, io);
  if (verb === 'rotate') return rotate(rest, io);
  if (verb === 'verify') return verify(rest, io);
  if (verb === 'restore') return restore(rest, io);
  throw usage(
    `backup takes create FILE, rotate DIR [--keep N], verify FILE or restore FILE (is ${verb ?? 'nothing'})`,
  );
}

async function create(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, COMMON_OPTIONS);
  const path = resolve(one(positionals, 'backup create takes one FILE'));
  const info = await withHouse(io, values, (house) => house.backup({ path, actor: 'cli' }));
  io.print({ path, ...info, keep: keepText(info) }, said(path, info));
  return 0;
}

async function rotate(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, { ...COMMON_OPTIONS, keep: { type: 'string', default: '7' } });
  const directory = resolve(one(positionals, 'backup rotate takes one DIR'));
  const keep = Number(values.keep);
  if (!Number.isInteger(keep) || keep < 1 || keep > 1000) throw usage('--keep is 1 to 1000');
  const turn = await withHouse(io, values, (house) => house.rotateBackups({ directory, keep, actor: 'cli' }));
  const more = [
    `${turn.removed.length} older ones deleted; deleted people taken out of older ones: ${turn.purged}`,
    ...turn.failed.map((path) => `  could not be gone through, delete it by hand: ${path}`),
  ];
  const text = [said(turn.path, turn), ...more].join('\n');
  io.print({ ...turn, keep: keepText(turn) }, text);
  return turn.failed.length === 0 ? 0 : 1;
}

/** Whether the file is sound, and whether the key of this machine opens it. */
async function verify(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, COMMON_OPTIONS);
  const path = resolve(one(positionals, 'backup verify takes one FILE'));
  const report = await inspectBackup(path, keysOf(settings(io, values), io));
  const { problems, key, people, samples, madeAt, keyId } = report;
  const opens = key.opens
    ? `opened by the key ${keyId} in ${key.path}`
    : `needs the key ${keyId}; ${key.id === null ? `there is none in ${key.path}` : `the one in ${key.path} is ${key.id}`}`;
  const sound = problems.length === 0 ? 'sound' : `damaged: ${problems.join('; ')}`;
  io.print(
    { path, ...report },
    `${sound}; ${people} people, ${samples} samples, of ${new Date(madeAt).toISOString()}; ${opens}`,
  );
  return problems.length === 0 && key.opens ? 0 : 1;
}

async function restore(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, {
    ...COMMON_OPTIONS,
    replace: { type: 'boolean', default: false },
  });
  const path = resolve(one(positionals, 'backup restore takes one FILE'));
  const found = settings(io, values);
  const { replace } = values;
  const done = await restoreBackup(path, { ...keysOf(found, io), replace, actor: 'cli' }).catch(
    (thrown: unknown) => {
      const error = FacedError.from(thrown);
      if (error.code !== 'gallery.locked') throw error;
      throw new FacedError('gallery.locked', error.message, {
        fix: 'Stop the daemon first: systemctl stop faced',
      });
    },
  );
  const again =
    done.deletedAgain === null
      ? 'The gallery before could not be read: people who were deleted since the backup are back, delete them again.'
      : `${done.deletedAgain} people who were deleted since the backup were deleted in it too.`;
  io.print(done, `${done.people} people and ${done.samples} samples are back. ${again}`);
  return 0;
}

function keysOf({ config, stateDir }: Settings, io: CommandIo) {
  return {
    directory: stateDir,
    keyFile: config.gallery.keyFile ?? undefined,
    credentialsDirectory: io.env.CREDENTIALS_DIRECTORY,
  };
}

function said(path: string, info: MadeBackup): string {
  return `${path}: ${info.people} people, ${info.samples} samples, checked\n${keepText(info)}`;
}

/** Which key opens a backup, and how to keep it. */
function keepText({ keyId, key: { kind, path } }: MadeBackup): string {
  const where =
    kind === 'credential'
      ? 'the credential faced.key of the systemd service (systemd-creds, or the file that LoadCredential names)'
      : path;
  return (
    `It opens with the key ${keyId} alone, which is not in it: ${where}. ` +
    'Keep a copy of that key apart from the backup, in a password manager or on paper (64 hexadecimal digits): ' +
    'without it nobody can read the backup, and who has both can read all of it.'
  );
}

function one(positionals: readonly string[], wrong: string): string {
  const [only] = positionals;
  if (only === undefined || positionals.length !== 1) throw usage(wrong);
  return only;
}
