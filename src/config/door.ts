import { Type } from '@sinclair/typebox';
import { CAMERA_NAME } from './camera.js';
import { type About, decimal, oneOf, pathOrNull, section, text, wholeNumber, yesOrNo } from './setting.js';

/** Seconds, for whatever of a door has a length. */
const seconds = (range: { minimum: number; maximum: number }, about: About<number>) => decimal(range, about);

const names = (about: About<string[]>) =>
  Type.Array(Type.String({ minLength: 1, maxLength: 200 }), { maxItems: 1000, ...about });

const lineOrNull = (description: string) =>
  Type.Unsafe<number | null>({
    type: ['integer', 'null'],
    minimum: 0,
    maximum: 1023,
    description,
    default: null,
    restart: true,
  });

const topic = (description: string) =>
  Type.Unsafe<string | null>({
    type: ['string', 'null'],
    pattern: '^(?!faced(/|$))[^+#$/\\s][^+#/\\s]*(/[^+#/\\s]+)*$',
    says: 'a topic without wildcards, not under faced',
    maxLength: 1024,
    description,
    default: null,
    restart: true,
  });

const payload = (description: string, value: string) =>
  text({ maxLength: 1024 }, { description, default: value, restart: true });

/** The name a rate of false matches has in every place where one is set. */
const falseMatchRate = (about: About<number>) => decimal({ minimum: 1e-6, maximum: 0.1 }, about);

const input = (description: string) =>
  section(description, {
    line: lineOrNull('The line of the chip. null: there is none.'),
    activeLow: yesOrNo({
      description: 'Whether a low level means open (door) or pressed (exit).',
      default: false,
      restart: true,
    }),
  });

const lock = section('The lock of this door, and how it is wired.', {
  // Required, like a camera's source: what it is cannot be guessed.
  driver: Type.Unsafe<'gpio' | 'mqtt' | 'recorder'>({
    type: 'string',
    enum: ['gpio', 'mqtt', 'recorder'],
    description:
      '`gpio`: a relay on a line of this machine; `mqtt`: a lock of others behind the broker; `recorder`: no lock, a file that says what would have happened.',
    restart: true,
  }),
  whenPowerless: Type.Unsafe<'secure' | 'safe' | null>({
    type: ['string', 'null'],
    enum: ['secure', 'safe', null],
    says: 'secure or safe: what the wired lock does without current',
    description:
      'What the lock does without current. `secure`: it stays shut (a strike that needs current to open). `safe`: it opens (a magnet that needs current to hold). This is wiring, not taste, and must be said for `gpio`; null for the others.',
    default: null,
    restart: true,
  }),
  chip: text(
    { pattern: '^/dev/gpiochip\\d{1,3}$', says: 'a GPIO chip such as /dev/gpiochip0' },
    { description: 'The GPIO chip (`gpio`).', default: '/dev/gpiochip0', restart: true },
  ),
  line: lineOrNull('The line of the chip that switches the relay (`gpio`).'),
  activeLow: yesOrNo({
    description: 'Whether the relay board switches on at a low level (`gpio`).',
    default: false,
    restart: true,
  }),
  longest: seconds(
    { minimum: 0.1, maximum: 60 },
    {
      description:
        'The longest that the line is ever held, in seconds: the process that holds it ends the pulse then, whatever became of faced.',
      default: 10,
      restart: true,
    },
  ),
  door: input(
    'A contact that is closed while the door is shut (`gpio`), between the line and ground; with `activeLow` between the line and 3.3 V. A wire that was cut reads as an open door.',
  ),
  exit: input(
    'The exit button as an input (`gpio`), to 3.3 V, with `activeLow` to ground. The way out itself is wired to the lock, never through faced.',
  ),
  commandTopic: topic('Where the lock takes its orders (`mqtt`).'),
  unlockPayload: payload('What opens it (`mqtt`).', 'UNLOCK'),
  lockPayload: payload('What locks it (`mqtt`).', 'LOCK'),
  stateTopic: topic('Where the lock says how it stands (`mqtt`). What it does not say there did not happen.'),
  stateLocked: payload('What it says when it is locked (`mqtt`).', 'LOCKED'),
  stateUnlocked: payload('What it says when it is unlocked (`mqtt`).', 'UNLOCKED'),
  stateJammed: payload('What it says when it is jammed (`mqtt`).', 'JAMMED'),
  answer: seconds(
    { minimum: 0.1, maximum: 60 },
    {
      description: 'How long the lock may take to say that it obeyed, in seconds (`mqtt`).',
      default: 5,
      restart: true,
    },
  ),
  file: pathOrNull({
    description: 'The file of the recorder. null: `lock-<door>.record` in the state directory.',
    default: null,
    restart: true,
  }),
  feed: pathOrNull({
    description:
      'A named pipe (`mkfifo`) that stands for the inputs of the recorder: lines `door open`, `door closed`, `exit pressed`, `exit released`. null: there are none.',
    default: null,
    restart: true,
  }),
});

const sure = section('What a face has to be before this door calls it sure. Not sure means no.', {
  frames: wholeNumber(
    { minimum: 1, maximum: 30 },
    { description: 'How many looks in a row have to agree.', default: 3, restart: false },
  ),
  span: seconds(
    { minimum: 0, maximum: 10 },
    {
      description:
        'How far the first and the last of them lie apart at least, in seconds. Three looks of a camera at 15 frames a second lie 0.133 apart.',
      default: 0.12,
      restart: false,
    },
  ),
  within: seconds(
    { minimum: 0.2, maximum: 30 },
    { description: 'Within how many seconds they have to lie.', default: 3, restart: false },
  ),
  newest: seconds(
    { minimum: 0.1, maximum: 10 },
    { description: 'How old the newest of them may be, in seconds.', default: 1, restart: false },
  ),
  falseMatchRate: falseMatchRate({
    description:
      'How often one picture of a stranger may be taken for one sample, at most. The similarity that each look has to reach follows from the recogniser’s measured curve; the promise of `recognition` holds beside it.',
    default: 0.00001,
    restart: false,
  }),
  claimFalseMatchRate: falseMatchRate({
    description: 'The same for the comparison with the one person whose code was shown (`claim`).',
    default: 0.0001,
    restart: false,
  }),
  margin: decimal(
    { minimum: 0, maximum: 1 },
    {
      description: 'By how much (cosine) the person has to be nearer than the next one. Keeps twins out.',
      default: 0.1,
      restart: false,
    },
  ),
  quality: decimal(
    { minimum: 0, maximum: 1 },
    { description: 'The least quality of a look that counts.', default: 0.4, restart: false },
  ),
  liveness: oneOf(['both', 'active', 'passive', 'off'], {
    description:
      '`active`: the face has to move like a living head; `passive`: the model has to call it live, which a good photograph can pass; `both`; `off`: a photograph opens.',
    default: 'both',
    restart: false,
  }),
  passiveScore: decimal(
    { minimum: 0, maximum: 1 },
    { description: 'The least mean passive score over the looks.', default: 0.5, restart: false },
  ),
  activeAge: seconds(
    { minimum: 0.5, maximum: 60 },
    { description: 'How old the active verdict may be, in seconds.', default: 5, restart: false },
  ),
});

const lockout = (about: { description: string; failures: number; first: number; longest: number }) =>
  section(about.description, {
    failures: wholeNumber(
      { minimum: 1, maximum: 100 },
      { description: 'How many failures close it.', default: about.failures, restart: false },
    ),
    first: seconds(
      { minimum: 1, maximum: 3600 },
      {
        description: 'For how long the first time, in seconds; it doubles each further time.',
        default: about.first,
        restart: false,
      },
    ),
    longest: seconds(
      { minimum: 1, maximum: 86_400 },
      { description: 'And at most, in seconds.', default: about.longest, restart: false },
    ),
    forget: seconds(
      { minimum: 1, maximum: 86_400 },
      {
        description: 'After so many seconds without a failure all is forgotten.',
        default: 3600,
        restart: false,
      },
    ),
  });

const door = Type.Object(
  {
    lock,
    cameras: names({
      description:
        'The cameras whose faces may open this door. Each has to be trusted with a door (`cameras.NAME.trusted`). None: no face opens it.',
      default: [],
      restart: true,
    }),
    modes: Type.Array(
      Type.Unsafe<'face' | 'face+code' | 'code'>({ type: 'string', enum: ['face', 'face+code', 'code'] }),
      {
        minItems: 1,
        maxItems: 3,
        description:
          'What opens it; any one of these. `face+code`: a sure face and a valid code, badge or QR text of the same person. `face`: a sure face alone, which is a convenience and not a lock. `code`: a code, badge or QR text alone.',
        default: ['face+code'],
        restart: false,
      },
    ),
    claim: yesOrNo({
      description:
        'With `face+code`: the code names the person, and the face is compared with that person alone (one to one).',
      default: false,
      restart: false,
    }),
    secondFactor: seconds(
      { minimum: 1, maximum: 120 },
      { description: 'How far face and code may lie apart, in seconds.', default: 10, restart: false },
    ),
    codes: Type.Array(
      Type.String({
        pattern: '^(mqtt|http|control|wiegand:[a-z0-9_-]{1,32})$',
        says: 'mqtt, http, control or wiegand:NAME',
      }),
      {
        maxItems: 16,
        description:
          'Where codes, badges and QR texts may come from: `mqtt` (`lock/set` with `present`), `control` (`faced door present`, programs of this machine’s owner), `http` (`/v1/doors/NAME/present`, with the scope `door`), `wiegand:NAME` (a reader that names itself so in `lock/set`). None: no code is taken.',
        default: [],
        restart: false,
      },
    ),
    remoteUnlock: yesOrNo({
      description:
        'Whether an `unlock` from afar opens this door: on `lock/set`, over HTTP with the scope `door` (which `admin` has too), or by `faced door unlock`. Without a command key (`mqtt.lockKeyFile`) whoever may write that topic then owns the door.',
      default: false,
      restart: false,
    }),
    pulse: seconds(
      { minimum: 0.05, maximum: 60 },
      { description: 'How long the lock is opened, in seconds.', default: 3, restart: false },
    ),
    coolDown: seconds(
      { minimum: 0, maximum: 3600 },
      {
        description: 'After it was opened, no face and no command opens it again for so long, in seconds.',
        default: 10,
        restart: false,
      },
    ),
    openTooLong: seconds(
      { minimum: 5, maximum: 86_400 },
      {
        description: 'After so many seconds an open door is called `open too long`.',
        default: 60,
        restart: true,
      },
    ),
    spoofHold: seconds(
      { minimum: 0, maximum: 600 },
      {
        description: 'After a spoof in view no face opens for so long, whoever it is, in seconds.',
        default: 3,
        restart: false,
      },
    ),
    sure,
    faceLockout: lockout({
      description:
        'Spoofs and failed claims close the way by face for a while. Codes, badges, commands and the way out go on.',
      failures: 5,
      first: 30,
      longest: 3600,
    }),
    codeLockout: lockout({
      description: 'Wrong codes close the codes for a while, and nothing else.',
      failures: 5,
      first: 10,
      longest: 600,
    }),
  },
  { description: 'One door.', additionalProperties: false },
);

/** Names end up in topics and file names, like those of cameras. */
export const doors = Type.Record(Type.String({ pattern: CAMERA_NAME }), door, {
  description:
    'The doors by name (lower-case letters, digits, `-` and `_`). Who may pass them stands in `access`.',
  default: {},
  additionalProperties: false,
  restart: true,
});
