import type { Store } from '../../src/pipeline/ports.js';
import { embedding, event, messageOf, randomNumbers, SPACE, sample, unknownFace } from './support.js';

export interface Call {
  readonly name: keyof Store;
  /** Whether it changes something; `little`: so little that it may fit where the log has been before. */
  readonly writes: boolean | 'little';
  run(store: Store, personId: string): Promise<unknown>;
}

const random = randomNumbers(99);
const read = (name: keyof Store, run: Call['run']): Call => ({ name, writes: false, run });
const write = (name: keyof Store, run: Call['run']): Call => ({ name, writes: true, run });
let count = 0;

/** Every method of the port but start and stop, to be crossed with bad states. */
export const CALLS: readonly Call[] = [
  read('ownSamples', (store, id) => store.ownSamples(id, SPACE)),
  read('sampleImage', (store) => store.sampleImage('none')),
  read('reembedding', (store) => store.reembedding(SPACE)),
  read('imagesToReembed', (store) => store.imagesToReembed({ space: SPACE, limit: 10 })),
  read('consents', (store) => store.consents()),
  read('auditHead', (store) => store.auditHead()),
  read('pruneAudit', (store) => store.pruneAudit(365)),
  read('unknownGroups', (store) => store.unknownGroups()),
  read('unknownFaces', (store) => store.unknownFaces('none')),
  read('forgetUnknown', (store) => store.forgetUnknown({ groups: ['none'] })),
  read('pruneUnknown', (store) => store.pruneUnknown()),
  read('people', (store) => store.people()),
  read('samples', (store, id) => store.samples(id)),
  read('exportPeople', (store) => store.exportPeople()),
  read('counts', (store) => store.counts(SPACE)),
  read('search', (store) => store.search([embedding(random)])),
  read('events', (store) => store.events({ limit: 10 })),
  read('outbox', (store) => store.outbox(10)),
  read('outboxStats', (store) => store.outboxStats()),
  read('verifyAudit', (store) => store.verifyAudit()),
  read('exportAudit', (store) => store.exportAudit({ limit: 10 })),
  read('accessRecords', (store) => store.accessRecords()),
  read('integrityCheck', (store) => store.integrityCheck()),
  read('latestEvent', (store) => store.latestEvent()),
  read('clockLooked', (store) =>
    store.clockLooked({ at: { wallMs: Date.now(), monotonicMs: 0 }, known: true, isMachines: true }),
  ),
  read('pruneEvents', (store) => store.pruneEvents()),
  write('ensurePerson', (store) => store.ensurePerson(`Person ${count++}`)),
  write('enroll', (store) =>
    store.enroll({
      ...{ name: `Person ${count++}`, add: [sample(random)], remove: [], actor: 'cli', from: 'picture' },
      consent: { version: '1', givenAt: 1 },
    }),
  ),
  write('recordConsent', (store, person) =>
    store.recordConsent({ person, version: '1', givenAt: 1, actor: 'cli' }),
  ),
  write('replaceEmbeddings', async (store, id) =>
    store.replaceEmbeddings(
      (await store.samples(id)).map((one) => ({ sample: one.id, embedding: embedding(random) })),
    ),
  ),
  write('addUnknown', (store) => store.addUnknown(unknownFace(random), { threshold: 0.5, limit: 1_000 })),
  { name: 'forgetImages', writes: false, run: (store) => store.forgetImages() },
  write('renamePerson', (store, id) => store.renamePerson(id, `Person ${count++}`)),
  write('addSamples', (store, id) => store.addSamples(id, [sample(random)])),
  write('importPeople', async (store) =>
    store.importPeople(
      (await store.exportPeople()).map((person) => ({
        ...{ ...person, name: `Person ${count++}` },
        updatedAt: person.updatedAt + 1,
      })),
    ),
  ),
  write('removeSample', async (store, id) => store.removeSample((await store.samples(id))[0]?.id ?? '')),
  write('recordEvent', (store) => {
    const one = event('Anna');
    return store.recordEvent(one, [messageOf(one)]);
  }),
  { name: 'acknowledge', writes: 'little', run: (store) => store.acknowledge(1) },
  write('claimCommand', (store) =>
    store.claimCommand({ kind: 'lock', id: `c${count++}`, until: 9e12, now: 8e12, limit: 10_000 }),
  ),
  write('putAccess', (store) => store.putAccess({ kind: 'token', id: `t${count++}`, body: '{}' })),
  write('removeAccess', async (store) => {
    await store.putAccess({ kind: 'token', id: 'gone', body: '{}' });
    await store.removeAccess({ kind: 'token', id: 'gone' });
  }),
  write('audit', (store) => store.audit({ kind: 'k', actor: 'cli', detail: {} })),
  write('removePerson', (store, id) => store.removePerson(id)),
];
