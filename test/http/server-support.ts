import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { FacedError } from '../../src/domain/errors.js';
import type { RecognitionEvent } from '../../src/domain/event.js';
import { NO_DOORS } from '../../src/doors.js';
import type { HttpOptions, HttpParts } from '../../src/http/parts.js';
import { HttpServer } from '../../src/http/server.js';
import { Tally } from '../../src/http/tally.js';
import { TypedEvents } from '../../src/lib/events.js';
import { silentLogger } from '../../src/lib/log.js';
import { Access } from '../../src/pipeline/access.js';
import { Health } from '../../src/pipeline/health.js';
import { Notices } from '../../src/pipeline/notices.js';
import type { Store } from '../../src/pipeline/ports.js';
import { FacedService } from '../../src/pipeline/service.js';
import { openStore } from '../gallery/support.js';

/** The interface over a real gallery, in this process; nothing looks at pictures. */
export interface OpenServer {
  readonly server: HttpServer;
  readonly access: Access;
  readonly store: Store;
  readonly base: string;
  readonly feed: TypedEvents<{ decided: RecognitionEvent }>;
  urls(): string[];
}

export async function openServer(
  t: TestContext,
  options: Partial<HttpOptions> = {},
  parts: Partial<HttpParts> = {},
): Promise<OpenServer> {
  const { store, directory } = await openStore(t);
  const access = parts.access ?? new Access(store, parts.clock);
  const feed = new TypedEvents<{ decided: RecognitionEvent }>((error) => {
    throw error;
  });
  const blind = () => Promise.reject(new FacedError('busy', 'the models are still being loaded'));
  const vision = {
    analyse: blind,
    snapshot: async () => null,
    on: () => () => {},
    watch: async () => {},
    label: () => {},
  };
  const judge = {
    judge: () => {
      throw new FacedError('internal', 'nothing is judged here');
    },
    refresh: async () => {},
    allow: async () => {},
  };
  const health = new Health({
    ...{ device: 'door', version: '0', outbox: () => store.outboxStats(), brokerProblem: () => null },
    recognition: () => ({ waiting: 0, dropped: 0, unrecorded: null }) as never,
    promiseProblem: () => null,
    ownRssBytes: () => process.memoryUsage.rss(),
    visionIsThread: true,
  });
  const notices = new Notices();
  const events: HttpParts['events'] = { on: (listener) => feed.on('decided', listener) };
  const server = new HttpServer(
    {
      ...{ host: '127.0.0.1', port: 0, names: [], trustedProxies: [], maxUploadBytes: 2 ** 20 },
      ...{ version: '0', device: 'door', stateDir: directory, certificate: null },
      ...options,
    },
    {
      ...{ access, store, judge, health, vision, cameras: [], log: silentLogger },
      service: new FacedService({ vision, store, judge } as never),
      ...{ notices, events, tally: new Tally({ vision, events, notices }) },
      machine: async () => ({
        ...{ temperatureC: 41, diskFree: 10 ** 9, diskTotal: 10 ** 10 },
        ...{ memoryFree: 10 ** 9, memoryTotal: 4 * 10 ** 9, memoryLevel: 0, heatLevel: 0, heatSteps: 0 },
      }),
      recogniser: () => ({
        model: 'none',
        threshold: null,
        margin: null,
        livenessMinimum: null,
        curve: null,
      }),
      gallery: () => ({ people: 0, samples: 0 }),
      mqtt: () => ({ connected: true }),
      waiting: () => ({ looks: 0, unrecorded: 0 }),
      settings: {
        read: () => ({ config: {}, schema: {}, fileOnly: [] }),
        change: async () => ({ config: {}, needRestart: [], overridden: [] }),
      },
      doctor: async () => [],
      backups: {
        create: () => Promise.reject(new FacedError('gallery.failed', 'not here')),
        place: () => join(directory, 'upload.tmp'),
        restore: () => Promise.reject(new FacedError('gallery.corrupt', 'not here')),
      },
      doors: NO_DOORS,
      looks: { on: () => () => {} },
      ...parts,
    },
  );
  t.after(() => server.stop());
  await server.start(new AbortController().signal);
  return {
    server,
    access,
    store,
    feed,
    urls: () => server.urls(),
    base: (server.urls()[0] ?? '').slice(0, -1),
  };
}
