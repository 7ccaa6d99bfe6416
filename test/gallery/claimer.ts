/** Claims one command, says what the store answered, and waits for its end from outside. */
import { createStore } from '../../src/gallery/index.js';

const store = createStore({ directory: process.argv[2] ?? '' });
await store.start(new AbortController().signal);
const now = 1_800_000_000_000;
process.send?.(await store.claimCommand({ kind: 'lock', id: 'killed', until: now + 60_000, now, limit: 9 }));
setInterval(() => {}, 60_000);
