/** Records events as fast as it can and says each id after the store has answered; ended from outside. */
import { createStore } from '../../src/gallery/index.js';
import { event, messageOf } from './support.js';

const store = createStore({ directory: process.argv[2] ?? '' });
await store.start(new AbortController().signal);
for (;;) {
  const one = event('Anna');
  await store.recordEvent(one, [messageOf(one)]);
  process.send?.(one.id);
}
