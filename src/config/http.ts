import { pathOrNull, section, text, texts, wholeNumber, yesOrNo } from './setting.js';

export const http = section(
  'The HTTP interface and the web page. It listens on this machine alone until `faced http open` (docs/http.md).',
  {
    enabled: yesOrNo({ description: 'Whether it is offered.', default: true, restart: true }),
    host: text(
      {},
      {
        description:
          'The address it listens on. Beyond loopback it speaks TLS, with a certificate of its own making unless `cert` is set, but not to a trusted proxy.',
        default: '127.0.0.1',
        restart: true,
      },
    ),
    port: wholeNumber(
      { minimum: 0, maximum: 65_535 },
      { description: 'Its port. 0: any.', default: 8723, restart: true },
    ),
    names: texts({
      description:
        'Names, beside those of the machine itself, under which it is reached: requests for any other are refused.',
      default: [],
      restart: true,
    }),
    trustedProxies: texts({
      description:
        'Addresses of proxies that may say for whom they ask (X-Forwarded-For, X-Forwarded-Proto). None: nobody may.',
      default: [],
      restart: true,
    }),
    cert: pathOrNull({
      description: 'A certificate (PEM, with its chain) for TLS.',
      default: null,
      restart: true,
    }),
    key: pathOrNull({ description: 'The key of that certificate (PEM).', default: null, restart: true }),
    maxUploadMb: wholeNumber(
      { minimum: 1, maximum: 64 },
      { description: 'A picture that is sent may have so many megabytes (MiB).', default: 16, restart: true },
    ),
  },
);
