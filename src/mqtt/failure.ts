/** Why a connection failed, in the words of this project: never a credential, never a library's own text about one. */
export interface Failure {
  readonly kind:
    | 'unreachable'
    | 'silent'
    | 'version'
    | 'credentials'
    | 'tls'
    | 'taken-over'
    | 'refused'
    | 'lost'
    | 'files';
  readonly message: string;
  readonly fix: string | undefined;
}

export function lost(label: string): Failure {
  return { kind: 'lost', message: `The connection to ${label} was lost.`, fix: undefined };
}

/** The broker takes us and soon closes the connection, again and again. */
export function unstable(label: string): Failure {
  return {
    kind: 'taken-over',
    message: `${label} closes each connection soon; probably another client has our client id.`,
    fix: OWN_NAME,
  };
}

const OWN_NAME = 'Give each daemon its own `device`.';

/** CONNACK return codes of MQTT 3.1.1 (3.2.2.3) and reason codes of MQTT 5 (3.2.2.2, 3.14.2.1). */
const VERSION_CODES = new Set<unknown>([1, 0x84]);
const CREDENTIAL_CODES = new Set<unknown>([4, 5, 0x86, 0x87, 0x8c]);
const TAKEN_OVER = 0x8e;
const TLS_CODE =
  /^(ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/;

/**
 * @param about `answered`: whether the broker had sent any packet; `label`: the broker without credentials.
 */
export function failureOf(cause: unknown, about: { answered: boolean; label: string }): Failure {
  const { label } = about;
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined;
  const text = cause instanceof Error ? cause.message : '';
  if (VERSION_CODES.has(code) || (/connack|properties/i.test(text) && about.answered))
    return { kind: 'version', message: `${label} refuses this version of MQTT.`, fix: undefined };
  if (CREDENTIAL_CODES.has(code))
    return {
      kind: 'credentials',
      message: `${label} refuses the user name, password or certificate.`,
      fix: 'Check mqtt.username, mqtt.passwordFile and the access rules of the broker.',
    };
  if (code === TAKEN_OVER)
    return {
      kind: 'taken-over',
      message: `Another client connected to ${label} with our client id.`,
      fix: OWN_NAME,
    };
  if (typeof code === 'number')
    return { kind: 'refused', message: `${label} ended the connection with code ${code}.`, fix: undefined };
  if (typeof code === 'string' && TLS_CODE.test(code))
    return {
      kind: 'tls',
      message: `No trusted TLS connection to ${label} (${code}).`,
      fix: 'Check mqtt.ca, the name in the certificate, and the clock of this machine.',
    };
  if (typeof code === 'string' && code !== 'ECONNRESET' && code !== 'EPIPE')
    return {
      kind: 'unreachable',
      message: `${label} cannot be reached (${code}).`,
      fix: 'Check mqtt.url, the network, and that the broker runs.',
    };
  if (!about.answered && (cause === undefined || code === 'ECONNRESET'))
    return { kind: 'silent', message: `${label} closed the connection without an answer.`, fix: undefined };
  return {
    kind: 'lost',
    message: `The connection to ${label} was lost${text === '' ? '' : ` (${text})`}.`,
    fix: undefined,
  };
}
