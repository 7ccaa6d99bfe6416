/** Not a test: a program that opens a lock and then does nothing more, to be killed or stopped by lock.test.ts. */
import { HolderLock } from '../../src/door/holder.js';
import { systemClock } from '../../src/lib/clock.js';

const [file = '', owner = '', pulseMs = '', longestMs = '', safe = ''] = process.argv.slice(2);
const lock = new HolderLock(
  {
    driver: 'recorder',
    file,
    longestMs: Number(longestMs),
    whenPowerless: safe === 'safe' ? 'safe' : 'secure',
  },
  { clock: systemClock, owner, onError: (error) => console.error(error) },
);
await lock.start(new AbortController().signal);
await lock.unlock(Number(pulseMs));
console.log('unlocked');
setInterval(() => {}, 1_000_000);
