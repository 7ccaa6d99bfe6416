import { pathOrNull, section, wholeNumber, yesOrNo } from './setting.js';

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
  samplesPerPerson: wholeNumber(
    { minimum: 1, maximum: 100 },
    {
      description:
        'How many samples one person may have. When there are more, the most varied ones stay. Every sample is one more that a stranger might resemble, so the threshold rises with their number.',
      default: 20,
      restart: false,
    },
  ),
  keepImages: yesOrNo({
    description:
      'Keep the aligned face (112x112, JPEG) of each new sample, encrypted like the embeddings: to show who is meant, and to go on with another recogniser without enrolling everybody again (`faced people reembed`). Pictures kept before are deleted with `faced people forget-images`.',
    default: false,
    restart: false,
  }),
  keepUnknownHours: wholeNumber(
    { minimum: 0, maximum: 8760 },
    {
      description:
        'For how many hours the faces of strangers are kept, encrypted and grouped, so that they can be named later (`faced people unknown`). 0: never. Strangers have not been asked: mind the law.',
      default: 0,
      restart: true,
    },
  ),
  unknownLimit: wholeNumber(
    { minimum: 1, maximum: 10_000 },
    {
      description: 'How many faces of strangers are kept at most; the oldest go first.',
      default: 500,
      restart: true,
    },
  ),
});
