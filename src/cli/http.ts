import { renderUnicodeCompact } from 'uqr';
import { fingerprintOf, givenCertificate, ownCertificate } from '../http/certificate.js';
import { homeAddresses } from '../http/network.js';
import { type CommandIo, type ExitCode, parse, usage } from './command.js';
import { whereItRuns } from './demo.js';
import { withHouseAt } from './house.js';
import { COMMON_OPTIONS, settings } from './settings.js';

const ACTOR = 'cli';

export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const [verb, ...rest] = argv;
  const { values, positionals } = parse(rest, COMMON_OPTIONS);
  if (positionals.length > 0) throw usage(`http ${verb} takes no ${positionals[0]}`);
  if (verb === 'open') return open(io, values);
  if (verb === 'code') return code(io, values);
  if (verb === 'close') return close(io, values);
  throw usage(`http takes open, close or code (is ${verb ?? 'nothing'})`);
}

type Values = { readonly config?: string | undefined };

/** Lets the home network in, and shows what the first account needs. */
async function open(io: CommandIo, values: Values): Promise<ExitCode> {
  const found = await whereItRuns(settings(io, values));
  const { port, cert, key } = found.config.http;
  // Before the daemon hears of it, so that both see the same one.
  const certificate =
    cert === null || key === null
      ? await ownCertificate(found.stateDir)
      : await givenCertificate({ certFile: cert, keyFile: key });
  const { code, until } = await withHouseAt(found, io, (house) => house.openToNetwork({ actor: ACTOR }));
  const fragment = code === null ? '' : `#code=${code}`;
  const urls = homeAddresses().map((address) => `https://${bracketed(address)}:${port}/${fragment}`);
  const fingerprint = fingerprintOf(certificate);
  const own = cert === null;
  io.print({ open: true, code, until, urls, fingerprint }, sentences({ code, urls, fingerprint, own }));
  return 0;
}

async function code(io: CommandIo, values: Values): Promise<ExitCode> {
  const found = await whereItRuns(settings(io, values));
  const { code, until } = await withHouseAt(found, io, (house) => house.pairingCode({ actor: ACTOR }));
  const url = `http://127.0.0.1:${found.config.http.port}/`;
  io.print(
    { code, until, urls: [url] },
    code === null
      ? `There is an account already: sign in at ${url}`
      : `${code} makes the first account at ${url} within 15 minutes.`,
  );
  return 0;
}

async function close(io: CommandIo, values: Values): Promise<ExitCode> {
  const found = await whereItRuns(settings(io, values));
  const state = await withHouseAt(found, io, (house) => house.closeToNetwork({ actor: ACTOR }));
  io.print(state, 'The HTTP interface is for this machine alone.');
  return 0;
}

function sentences(about: {
  code: string | null;
  urls: readonly string[];
  fingerprint: string;
  own: boolean;
}): string {
  const { code, urls, fingerprint, own } = about;
  const [url] = urls;
  if (url === undefined) return 'Open, but this machine has no address in a home network yet.';
  return [
    `Open to the home network: ${urls.join(' ')}`,
    ...(code === null ? [] : [`The code for the first account, for 15 minutes: ${code}`]),
    ...(own
      ? ['The browser warns that it does not know the certificate. It is this one:', `  ${fingerprint}`]
      : []),
    '',
    renderUnicodeCompact(url),
  ].join('\n');
}

function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}
