import { oneOf, section, textOrNull } from './setting.js';

export const device = textOrNull(
  { pattern: '^[a-z0-9][a-z0-9_-]{0,63}$', says: '1 to 64 lower-case letters, digits, - and _' },
  {
    description: 'This machine’s name in topics and events. null: its host name, made safe.',
    default: null,
    restart: true,
  },
);

export const isolation = oneOf(['auto', 'process', 'thread'], {
  description:
    'Where cameras and models run. process: a child that holds neither the gallery’s key nor the lock, and whose crash costs two seconds. thread: in the daemon, with less memory. auto: process from 1.5 GB of memory on.',
  default: 'auto',
  restart: true,
});

export const log = section('What is written to standard error (the journal).', {
  level: oneOf(['debug', 'info', 'warn', 'error'], {
    description: 'The least important level that is written.',
    default: 'info',
    restart: false,
  }),
});
