import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { controlSocketPath, openStore } from '../assemble.js';
import { FacedError } from '../domain/errors.js';
import { type DoorAnswer, type DoorKeys, type DoorStatus, openKeys } from '../door/index.js';
import { callSocket, type SocketCaller } from '../lib/socket-rpc.js';
import { type CommandIo, type ExitCode, parse, usage } from './command.js';
import { COMMON_OPTIONS, type Settings, settings } from './settings.js';

type Keys = Pick<DoorKeys, 'add' | 'remove' | 'list'>;

const KIND_OPTIONS = {
  ...COMMON_OPTIONS,
  badge: { type: 'boolean', default: false },
  qr: { type: 'boolean', default: false },
} as const;

export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, KIND_OPTIONS);
  const [verb = 'nothing', ...rest] = positionals;
  const action = Object.hasOwn(ACTIONS, verb) ? ACTIONS[verb] : undefined;
  if (action === undefined) throw usage(`door takes ${Object.keys(ACTIONS).join(', ')} (is ${verb})`);
  if (values.badge && values.qr) throw usage('a key is a badge or a QR text, not both');
  const found = settings(io, values);
  if (Object.keys(found.config.doors).length === 0)
    throw new FacedError('usage.invalid', 'no door is configured', { fix: 'docs/door.md says how one is' });
  const method = values.badge ? 'badge' : values.qr ? 'qr' : 'code';
  return action({ io, found, rest, method });
}

interface Call {
  readonly io: CommandIo;
  readonly found: Settings;
  readonly rest: readonly string[];
  readonly method: 'code' | 'badge' | 'qr';
}

const ACTIONS: Readonly<Record<string, (call: Call) => Promise<ExitCode>>> = {
  status: async ({ io, found, rest }) => {
    none(rest, 'door status takes nothing');
    const doors = await withDaemon(found, (daemon) => daemon.call<DoorStatus[]>('doorStatus'));
    const text = doors.map(
      ({ door, state, open }) => `${door}  ${state}${open === null ? '' : open ? ', open' : ', shut'}`,
    );
    io.print({ doors }, text.join('\n'));
    return 0;
  },
  unlock: (call) => order(call, 'unlock'),
  lock: (call) => order(call, 'lock'),
  present: async ({ io, found, rest, method }) => {
    const door = doorOf(rest, found);
    const secret = await readSecret(io, method);
    return answered(
      io,
      await withDaemon(found, (daemon) => daemon.call<Answer>('doorPresent', { door, method, secret })),
    );
  },
  keys: async ({ io, found, rest }) => {
    none(rest, 'door keys takes nothing');
    const keys = await withKeys(found, io, (book) => book.list());
    const text = keys.map(({ id, method, person }) => `${id}  ${method.padEnd(5)}  ${person}`);
    io.print({ keys }, keys.length === 0 ? 'nobody has a code, badge or QR text' : text.join('\n'));
    return 0;
  },
  'add-key': async ({ io, found, rest, method }) => {
    const person = who(rest, 'door add-key takes WHO; the code itself is read from standard input');
    const secret = await readSecret(io, method);
    const added = await withKeys(found, io, (keys) => keys.add({ person, method, secret, actor: 'cli' }));
    io.print(added, `${added.person.name} has a ${method}`);
    return 0;
  },
  'remove-keys': async ({ io, found, rest }) => {
    const person = who(rest, 'door remove-keys takes WHO');
    const gone = await withKeys(found, io, (keys) => keys.remove({ person, actor: 'cli' }));
    io.print(gone, `removed ${gone.removed}`);
    return 0;
  },
};

type Answer = DoorAnswer & { readonly door: string };

async function order({ io, found, rest }: Call, action: 'lock' | 'unlock'): Promise<ExitCode> {
  const door = doorOf(rest, found);
  return answered(
    io,
    await withDaemon(found, (daemon) => daemon.call<Answer>('doorCommand', { door, action })),
  );
}

function answered(io: CommandIo, answer: Answer): ExitCode {
  const { door, outcome, reason } = answer;
  io.print(answer, `${door}: ${outcome}${reason === null ? '' : ` (${reason})`}`);
  return outcome === 'denied' ? 1 : 0;
}

async function withDaemon<Result>(
  { stateDir }: Settings,
  use: (daemon: SocketCaller) => Promise<Result>,
): Promise<Result> {
  const daemon = await callSocket(controlSocketPath(stateDir), { reviveError: FacedError.from });
  if (daemon === null)
    throw new FacedError('daemon.absent', 'faced does not run here, and only it holds the lock', {
      fix: 'start it: faced run, or systemctl start faced',
    });
  return use(daemon).finally(() => daemon.close());
}

/** Of the running daemon, which knows them at once, or of the files when none runs. */
async function withKeys<Result>(
  found: Settings,
  io: CommandIo,
  use: (keys: Keys) => Promise<Result>,
): Promise<Result> {
  const daemon = await callSocket(controlSocketPath(found.stateDir), { reviveError: FacedError.from });
  if (daemon !== null) {
    return use({
      add: (key) => daemon.call('doorKeyAdd', key),
      remove: (whose) => daemon.call('doorKeysRemove', whose),
      list: () => daemon.call('doorKeys'),
    }).finally(() => daemon.close());
  }
  const store = openStore(found, io.log);
  await store.start(io.signal);
  try {
    return await use(await openKeys(found.stateDir, store));
  } finally {
    await store.stop();
  }
}

function doorOf(rest: readonly string[], { config }: Settings): string {
  const names = Object.keys(config.doors);
  const [door = names.length === 1 ? names[0] : undefined] = rest;
  if (door !== undefined && rest.length < 2) return door;
  throw usage(`name one door: ${names.join(', ')}`);
}

function who([person, ...more]: readonly string[], message: string): string {
  if (person === undefined || more.length > 0) throw usage(message);
  return person;
}

function none(rest: readonly string[], message: string): void {
  if (rest.length > 0) throw usage(message);
}

/** One line of standard input; at a terminal it is asked for and not shown. Never an argument, which others could read. */
async function readSecret(io: CommandIo, method: string): Promise<string> {
  const terminal = process.stdin.isTTY === true;
  if (terminal) process.stderr.write(`${method}: `);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: process.stdin, output: nowhere, terminal });
  io.signal.addEventListener('abort', () => reader.close(), { once: true });
  const line = await new Promise<string>((resolve) => {
    reader.once('line', resolve);
    reader.once('close', () => resolve(''));
  });
  reader.close();
  if (terminal) process.stderr.write('\n');
  if (line === '') throw usage('nothing was given on standard input');
  return line;
}
