/**
 * Every error that a user can meet, by its stable code. A code is never reused for something else.
 * The line says what happened in general; the error's own message says what happened this time.
 */
export const ERROR_CODES = {
  // wrong use
  'usage.invalid': 'The command line is not right.',
  'usage.not-found': 'A file or folder that was named does not exist or cannot be read.',
  // pictures and cameras
  'image.unreadable': 'The bytes are not a picture that can be decoded.',
  'image.too-large': 'The picture has more bytes or pixels than are allowed.',
  'source.invalid': 'The source URI is not of a form that faced knows.',
  'source.open-failed': 'The camera, stream or file could not be opened.',
  'source.no-device': 'The camera is not there: unplugged, or under another name.',
  'source.no-access': 'The camera is there, and this user may not open it.',
  'source.failed': 'The camera gave up, or delivers what is not a picture.',
  'source.frozen': 'The camera gave no frame for too long.',
  'native.missing': 'The OpenCV addon is not built.',
  // models
  'model.unknown': 'No card describes this model.',
  'model.missing': 'The card is there, the model file is not.',
  'model.card-invalid': 'The model card has mistakes.',
  'model.mismatch': 'The model file is not what its card says (hash, inputs or outputs).',
  'model.fetch-failed': 'The model could not be fetched.',
  'model.no-memory': 'The model would not fit into the memory that is left, and was not loaded.',
  'model.run-failed': 'The model could not be run.',
  'model.unreadable': 'The file is not a model that can be read.',
  'model.unsupported': 'The model uses something that this command cannot work on.',
  'model.not-equal': 'The changed model does not answer like the original; nothing was written.',
  'model.write-failed': 'The output could not be written; no partial file is left.',
  'checkpoint.refused': 'The checkpoint names something that tensors and plain containers have no need of.',
  'checkpoint.mismatch': 'The checkpoint is of another network.',
  'calibration.invalid': 'The calibration pictures cannot be used.',
  'backend.away':
    'The process that runs a model for us is not there or does not answer; ONNX Runtime takes over.',
  'backend.refused':
    'The process that runs a model for us runs another one, or answers differently; ONNX Runtime takes over.',
  'backend.tool-missing': 'The program that makes engines is not on this machine.',
  'backend.build-failed': 'The engine could not be made.',
  'space.mismatch': 'Embeddings of different spaces cannot be compared.',
  // gallery
  'gallery.locked': 'Another process has this state directory.',
  'gallery.corrupt': 'The database is damaged or not ours.',
  'gallery.newer': 'The database was written by a newer version of faced.',
  'gallery.disk-full': 'The disk is full; nothing was changed.',
  'gallery.read-only': 'The database cannot be written.',
  'gallery.key-wrong': 'The key does not open this gallery.',
  'gallery.key-unusable': 'The key file is missing, holds no key, or is open to others.',
  'gallery.closed': 'The gallery is closed.',
  'gallery.io': 'The disk or card failed while the database was read or written.',
  'gallery.crashed': 'The store ended unexpectedly before it answered.',
  'gallery.invalid-sample': 'A sample or person that was given is malformed.',
  'gallery.invalid-name': 'The name cannot be used.',
  'gallery.not-found': 'No such person or sample.',
  'gallery.invalid-consent': 'A record of consent lacks the version of the text or the date.',
  'gallery.no-image': 'No picture was kept.',
  'gallery.occupied': 'A gallery is there already and is not replaced without being told to.',
  'gallery.failed': 'SQLite refused for another reason, which the message names.',
  // enrolment
  'enroll.no-face': 'No face was found.',
  'enroll.several-faces': 'More than one face was found.',
  'enroll.poor': 'The face is not good enough to learn from.',
  'enroll.duplicate': 'The face is in the gallery already, as somebody else.',
  'enroll.outlier': 'The face is too unlike the other samples of this person.',
  'enroll.nothing-new': 'The person has samples that say the same already.',
  'enroll.timed-out': 'No good picture came in time.',
  // configuration
  'config.invalid': 'The configuration has mistakes; each is listed with its path.',
  'config.unreadable': 'The configuration file cannot be read.',
  'config.unwritable': 'The configuration cannot be written.',
  'promise.unmeasured': 'No measurement supports the promise for this gallery.',
  // the door
  'door.secret-refused': 'The code, badge or QR text cannot be stored.',
  'door.policy-invalid': 'The access policy has mistakes; each is listed with its path.',
  'door.holder-missing': 'The program that holds the lock line is not built.',
  'door.line-busy': 'Another program uses the GPIO line.',
  'door.line-failed': 'The GPIO line could not be used.',
  'door.lock-silent': 'The lock did not answer in time; whether it is open is not known.',
  'door.lock-failed': 'The lock could not be moved.',
  'door.refused': 'The policy refused to open the door.',
  // MQTT
  'mqtt.refused': 'A command was refused.',
  'mqtt.invalid': 'A message does not fit its schema.',
  'mqtt.connect-failed': 'The broker could not be reached or refused us.',
  // HTTP
  'http.invalid': 'The request does not fit the schema of this address.',
  'http.unauthorized': 'This needs a token, or somebody who is signed in.',
  'http.forbidden': 'The token or account may not do this.',
  'http.cross-site': 'The request comes from another site, or names a host that is not this machine.',
  'http.locked': 'Too many wrong tries; wait before the next one.',
  'http.not-found': 'There is nothing at this address.',
  'http.too-large': 'The request is larger than is allowed.',
  'http.unsupported-type': 'The content type of the request is not one that this address takes.',
  'http.timeout': 'The request took too long.',
  'http.port-taken': 'Another program uses the HTTP port.',
  'http.certificate-unusable': 'The certificate or its key cannot be used.',
  'http.conflict': 'What was asked for does not fit what is there.',
  // the machine
  'system.hot': 'The machine is hot and may slow itself down.',
  'system.disk-low': 'There is little room left on the disk with the state directory.',
  'system.slowed':
    'The cameras are looked at less often, so that the machine does not get too hot or overloaded.',
  'system.weak-supply': 'The supply of the board gives too little voltage; it slows down and may fail.',
  'system.memory-low': 'Memory is short; what is not needed at the moment is let go.',
  'system.clock-wrong': 'The clock is far from any time that can be right.',
  // processes
  'daemon.absent': 'No daemon runs in this state directory.',
  'daemon.no-socket': 'The socket by which commands reach the daemon cannot be made.',
  'rpc.closed': 'The worker ended before it answered.',
  'rpc.timeout': 'The worker did not answer in time.',
  'vision.crashed': 'The vision process ended unexpectedly and is started again.',
  'vision.stuck': 'The vision worker hangs in a driver or a model and cannot be ended.',
  busy: 'Too much is waiting already; try again later.',
  interrupted: 'A signal ended the command before it was done.',
  internal: 'A defect in faced; please report it.',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** An error for people: what happened, its stable code, and what to do about it. */
export class FacedError extends Error {
  override readonly name = 'FacedError';
  readonly code: ErrorCode;
  /** What to do about it, as a sentence. */
  readonly fix: string | undefined;

  constructor(code: ErrorCode, message: string, options: { fix?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.fix = options.fix;
  }

  /** The error as plain data, to cross a thread, a process or a socket. */
  toJSON(): { code: ErrorCode; message: string; fix?: string } {
    return { code: this.code, message: this.message, ...(this.fix === undefined ? {} : { fix: this.fix }) };
  }

  /** Any thrown value as a FacedError; what is not one already becomes `internal`. */
  static from(thrown: unknown): FacedError {
    if (thrown instanceof FacedError) return thrown;
    const { code, message, fix } = thrown instanceof Object ? (thrown as Record<string, unknown>) : {};
    const text = typeof message === 'string' ? message : String(thrown);
    if (typeof code === 'string' && code in ERROR_CODES) {
      return new FacedError(code as ErrorCode, text, {
        cause: thrown,
        ...(typeof fix === 'string' ? { fix } : {}),
      });
    }
    return new FacedError('internal', text, { cause: thrown });
  }
}
