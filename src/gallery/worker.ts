/** The store's thread: the only place that has the database open. One call at a time, in order, but for backup and verifyAudit. */
import { parentPort, workerData } from 'node:worker_threads';
import { FacedError } from '../domain/errors.js';
import { collectGarbage } from '../lib/garbage.js';
import { type CallContext, channelOf, type Methods, serve } from '../lib/rpc.js';
import { LocalStore } from './local-store.js';
import { galleryError } from './sqlite-errors.js';
import type { StoreWorkerOptions } from './thread.js';

if (parentPort === null) throw new FacedError('internal', 'The store worker is not started as a worker.');
const options = workerData as StoreWorkerOptions;
const store = new LocalStore(options);

/** Every method with its errors translated. Rejecting is the only way in which a call fails; the thread goes on. */
function translated(methods: Methods): Methods {
  return Object.fromEntries(
    Object.entries(methods).map(([name, method]) => [
      name,
      async (argument: never, context: CallContext) => {
        try {
          return await method(argument, context);
        } catch (thrown) {
          throw galleryError(thrown, options.directory);
        }
      },
    ]),
  );
}

serve(channelOf(parentPort), translated(store.methods()));
collectGarbage();
