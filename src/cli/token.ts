import { FacedError } from '../domain/errors.js';
import type { House } from '../pipeline/house.js';
import { type CommandIo, type ExitCode, parse, usage } from './command.js';
import { whereItRuns } from './demo.js';
import { withHouseAt } from './house.js';
import { COMMON_OPTIONS, settings } from './settings.js';

const ACTOR = 'cli';

export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const [verb, ...rest] = argv;
  if (verb === 'create') return create(rest, io);
  if (verb === 'list') return list(rest, io);
  if (verb === 'revoke') return revoke(rest, io);
  throw usage(`token takes create, list or revoke (is ${verb ?? 'nothing'})`);
}

async function withHouse<Result>(
  io: CommandIo,
  values: { readonly config?: string | undefined },
  use: (house: House) => Promise<Result>,
): Promise<Result> {
  return withHouseAt(await whereItRuns(settings(io, values)), io, use);
}

async function create(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, {
    ...COMMON_OPTIONS,
    scope: { type: 'string', multiple: true },
    label: { type: 'string', default: '' },
    days: { type: 'string' },
  });
  if (positionals.length > 0) throw usage(`token create takes no ${positionals[0]}`);
  const scopes = (values.scope ?? []).flatMap((one) => one.split(',')).map((one) => one.trim());
  if (scopes.length === 0) throw usage('token create takes --scope recognize, read, enroll, door or admin');
  const days = values.days === undefined ? null : Number(values.days);
  if (days !== null && !(Number.isInteger(days) && days > 0))
    throw usage(`--days takes a whole number of days (is ${values.days})`);
  const made = await withHouse(io, values, (house) =>
    house.createToken({ scopes, label: values.label, days, actor: ACTOR }),
  ).catch((thrown: unknown) => {
    const error = FacedError.from(thrown);
    throw error.code === 'http.invalid' ? usage(error.message) : error;
  });
  io.print(made, made.token);
  return 0;
}

async function list(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values } = parse(argv, COMMON_OPTIONS);
  const tokens = await withHouse(io, values, (house) => house.tokens());
  const lines = tokens.map(
    ({ id, scopes, label, until }) =>
      `${id}  ${scopes.join(',')}  ${until === null ? 'no end' : new Date(until).toISOString().slice(0, 10)}  ${label}`,
  );
  io.print({ tokens }, lines.join('\n'));
  return 0;
}

async function revoke(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, COMMON_OPTIONS);
  if (positionals.length === 0) throw usage('token revoke takes at least one ID');
  const revoked = await withHouse(io, values, async (house) => {
    const done = [];
    for (const id of positionals) done.push(await house.revokeToken({ id, actor: ACTOR }));
    return done;
  });
  io.print({ revoked }, revoked.map(({ id }) => `${id} is revoked`).join('\n'));
  return 0;
}
