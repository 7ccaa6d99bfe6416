import { ERROR_CODES, type ErrorCode, FacedError } from '../domain/errors.js';

/** The status of each code that has one of its own; the others are 500. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  'usage.invalid': 400,
  'http.invalid': 400,
  'http.unauthorized': 401,
  'http.forbidden': 403,
  'http.cross-site': 403,
  'http.not-found': 404,
  'gallery.not-found': 404,
  'gallery.no-image': 404,
  'source.invalid': 404,
  'model.unknown': 404,
  'http.timeout': 408,
  'http.conflict': 409,
  'gallery.invalid-name': 422,
  'promise.unmeasured': 409,
  'door.refused': 403,
  'http.too-large': 413,
  'image.too-large': 413,
  'http.unsupported-type': 415,
  'image.unreadable': 422,
  'enroll.no-face': 422,
  'enroll.several-faces': 422,
  'enroll.poor': 422,
  'enroll.duplicate': 422,
  'enroll.outlier': 422,
  'enroll.nothing-new': 422,
  'enroll.timed-out': 422,
  // Of a backup that was sent.
  'gallery.corrupt': 422,
  'gallery.newer': 422,
  'gallery.key-wrong': 422,
  'gallery.occupied': 409,
  'gallery.invalid-sample': 422,
  'space.mismatch': 422,
  'config.invalid': 422,
  'config.unreadable': 409,
  'config.unwritable': 409,
  'door.policy-invalid': 422,
  'http.locked': 429,
  busy: 429,
  interrupted: 503,
  'rpc.closed': 503,
  'rpc.timeout': 503,
  'vision.crashed': 503,
  'gallery.closed': 503,
  'gallery.locked': 503,
  'gallery.crashed': 503,
  'source.open-failed': 503,
  'source.failed': 503,
  'source.frozen': 503,
  'gallery.disk-full': 507,
};

/** Codes whose own words may leave the machine: they say nothing that the sender does not know. The others get the code's general line. */
const OWN_WORDS = new Set<ErrorCode>([
  'http.invalid',
  'http.unauthorized',
  'http.forbidden',
  'http.cross-site',
  'http.not-found',
  'http.timeout',
  'http.conflict',
  'http.too-large',
  'http.unsupported-type',
  'http.locked',
  'image.too-large',
  'image.unreadable',
  'enroll.no-face',
  'enroll.several-faces',
  'enroll.poor',
  'enroll.outlier',
  'enroll.nothing-new',
  'enroll.timed-out',
  'promise.unmeasured',
  'config.invalid',
  'door.refused',
  'busy',
]);

export interface ErrorReply {
  readonly status: number;
  /** Seconds after which trying again makes sense. */
  readonly retryAfter: number | null;
  readonly body: { readonly error: { code: ErrorCode; message: string; fix?: string } };
}

/** What is told of an error: no path, no stack, no name. */
export function errorReply(thrown: unknown): ErrorReply {
  const error = fromFastify(thrown) ?? FacedError.from(thrown);
  const status = STATUS[error.code] ?? 500;
  const own = OWN_WORDS.has(error.code);
  return {
    status,
    retryAfter: status === 429 || status === 503 ? secondsIn(error) : null,
    body: {
      error: {
        code: error.code,
        message: own ? error.message : ERROR_CODES[error.code],
        ...(own && error.fix !== undefined ? { fix: error.fix } : {}),
      },
    },
  };
}

function secondsIn({ code, message }: FacedError): number {
  const wait = code === 'http.locked' ? / (\d+) s/.exec(message)?.[1] : undefined;
  return wait === undefined ? 1 : Number(wait);
}

/** The errors of fastify and its plugins that a sender can cause, as ours. */
function fromFastify(thrown: unknown): FacedError | null {
  if (!(thrown instanceof Error) || thrown instanceof FacedError) return null;
  const code = 'code' in thrown ? String(thrown.code) : '';
  const status = 'statusCode' in thrown ? Number(thrown.statusCode) : 0;
  if ('validation' in thrown) return new FacedError('http.invalid', thrown.message);
  if (status === 413) return new FacedError('http.too-large', 'the request is larger than is allowed');
  if (status === 415 || status === 406)
    return new FacedError('http.unsupported-type', ERROR_CODES['http.unsupported-type']);
  if (status === 404) return new FacedError('http.not-found', ERROR_CODES['http.not-found']);
  if (code.startsWith('FST_') && status >= 400 && status < 500)
    return new FacedError('http.invalid', 'the request is malformed');
  if (status >= 400 && status < 500) return new FacedError('http.invalid', 'the request is malformed');
  return null;
}
