import { pathOrNull, section, text, textOrNull, wholeNumber, yesOrNo } from './setting.js';

export const mqtt = section('How the house is told.', {
  url: textOrNull(
    {
      pattern: '^mqtts?://[^\\s/?#]+/?$',
      says: 'the address of a broker, such as mqtt://broker:1883 or mqtts://broker:8883',
    },
    {
      description:
        'The broker. `mqtts://` is TLS and never falls back to plain. null: the broker that is built in (`mqtt.embedded`).',
      default: null,
      restart: true,
    },
  ),
  username: textOrNull({}, { description: 'The name to log in with.', default: null, restart: true }),
  passwordFile: pathOrNull({
    description: 'A file whose first line is the password.',
    default: null,
    restart: true,
  }),
  ca: pathOrNull({
    description: 'The PEM file of the authority that signed the broker’s certificate. null: the system’s.',
    default: null,
    restart: true,
  }),
  cert: pathOrNull({ description: 'Our client certificate (PEM).', default: null, restart: true }),
  key: pathOrNull({ description: 'The key of our client certificate (PEM).', default: null, restart: true }),
  clientId: textOrNull(
    { pattern: '^[A-Za-z0-9_-]{1,64}$', says: '1 to 64 letters, digits, - and _' },
    { description: 'The MQTT client id. null: `faced-<device>`.', default: null, restart: true },
  ),
  attempts: yesOrNo({
    description: 'Publish every try to recognise a face on `attempt`, not only final decisions.',
    default: false,
    restart: true,
  }),
  snapshots: yesOrNo({
    description: 'Publish a JPEG of the camera’s picture on `snapshot` when asked to. It leaves the machine.',
    default: false,
    restart: true,
  }),
  controls: yesOrNo({
    description:
      'Take commands on `control/set`: let recognition rest and go on, and publish a picture (with `snapshots`). Whoever may write that topic can keep faces from opening a door.',
    default: false,
    restart: true,
  }),
  signKeyFile: pathOrNull({
    description: 'An Ed25519 private key (PEM) that signs every event (`sig`). null: events are not signed.',
    default: null,
    restart: true,
  }),
  lockKeyFile: pathOrNull({
    description:
      'A file with the key that every `lock/set` has to be signed with (HMAC-SHA-256): 32 bytes, or 64 hexadecimal digits. null: commands are not signed.',
    default: null,
    restart: true,
  }),
  healthEvery: wholeNumber(
    { minimum: 5, maximum: 3600 },
    { description: 'How often `health` is published, in seconds.', default: 60, restart: true },
  ),
  homeAssistant: section('Home Assistant finds the device by itself (MQTT discovery).', {
    enabled: yesOrNo({
      description:
        'Announce the device and its entities to Home Assistant. false: an earlier announcement is taken away.',
      default: false,
      restart: true,
    }),
    prefix: text(
      {
        pattern: '^(?!faced(/|$))[^+#$/\\s][^+#/\\s]*(/[^+#/\\s]+)*$',
        says: 'a topic without wildcards, not under faced',
      },
      { description: 'Home Assistant’s discovery prefix.', default: 'homeassistant', restart: true },
    ),
    statusTopic: text(
      {
        pattern: '^(?!faced(/|$))[^+#$/\\s][^+#/\\s]*(/[^+#/\\s]+)*$',
        says: 'a topic without wildcards, not under faced',
      },
      {
        description: 'Where Home Assistant says `online` when it has started (its birth message).',
        default: 'homeassistant/status',
        restart: true,
      },
    ),
  }),
  embedded: section('The broker that is built in, used when `mqtt.url` is null. It speaks MQTT 3.1.1.', {
    host: text(
      {},
      {
        description:
          'The address it listens on. Whoever reaches it can read every event, so keep it on this machine.',
        default: '127.0.0.1',
        restart: true,
      },
    ),
    port: wholeNumber(
      { minimum: 0, maximum: 65_535 },
      {
        description: 'Its port. When it is taken the next free one is used and named in the log. 0: any.',
        default: 1883,
        restart: true,
      },
    ),
  }),
});
