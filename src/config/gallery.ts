import { pathOrNull, section, wholeNumber } from './setting.js';

export const gallery = section('People, samples and events on this machine’s disk.', {
  keyFile: pathOrNull({
    description:
      'The file with the key that encrypts embeddings (on a removable medium, say): 32 bytes, or 64 hexadecimal digits. null: the credential `faced.key` of the systemd service, else a file in the state directory. A key on the same card protects backups, not against theft.',
    default: null,
    restart: true,
  }),
  outboxLimit: wholeNumber(
    { minimum: 10, maximum: 1_000_000 },
    {
      description:
        'How many messages may wait for a broker that is away. When it is full the oldest are dropped, counted and reported.',
      default: 10_000,
      restart: true,
    },
  ),
  keepEventsDays: wholeNumber(
    { minimum: 0, maximum: 3650 },
    {
      description: 'For how many days events are kept in the database. 0: they are not kept.',
      default: 30,
      restart: true,
    },
  ),
});
