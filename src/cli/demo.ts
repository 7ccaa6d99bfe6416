import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { controlSocketPath, openStore } from '../assemble.js';
import { makeStateDir } from '../config/index.js';
import { FacedError } from '../domain/errors.js';
import { fetchDemoPhotos } from '../inference/index.js';
import { callSocket } from '../lib/socket-rpc.js';
import type { Store } from '../pipeline/ports.js';
import type { CommandIo } from './command.js';
import { withHouseAt } from './house.js';
import type { Settings } from './settings.js';

export interface Demo {
  /** A state directory of its own: nobody of the demo enters a real gallery. */
  readonly place: Settings;
  readonly photographs: string;
}

/** Fetches the photographs and enrols the demo's people, unless both are there. */
export async function prepareDemo(found: Settings, io: CommandIo): Promise<Demo> {
  const photographs = join(found.modelsDir, 'demo');
  await fetchDemoPhotos(photographs, { signal: io.signal });
  const place = { ...found, stateDir: makeStateDir(demoDir(found)) };
  await shareAccess(found, place, io);
  await withHouseAt(place, io, async (house) => {
    if ((await house.people()).length > 0) return;
    const { demoPortraits } = await import('../camera/demo.js');
    for (const { name, jpeg } of demoPortraits(photographs)) {
      const outcome = await house.enroll({ name, image: jpeg, actor: 'demo' });
      if (!outcome.accepted)
        throw new FacedError(outcome.code, `the demo's photograph of ${name}: ${outcome.reason}`);
    }
    io.log.info({ photographs }, 'the demo knows two people now');
  });
  return { place, photographs };
}

function demoDir({ stateDir }: Pick<Settings, 'stateDir'>): string {
  return join(stateDir, 'demo');
}

/** Where a running daemon answers for this state directory: the demo's own one while the demo runs and nothing else does. */
export async function whereItRuns(found: Settings): Promise<Settings> {
  const place = { ...found, stateDir: demoDir(found) };
  if (await answers(found)) return found;
  return (await answers(place)) ? place : found;
}

async function answers({ stateDir }: Settings): Promise<boolean> {
  const path = controlSocketPath(stateDir);
  if (!existsSync(path)) return false;
  const remote = await callSocket(path, { reviveError: FacedError.from });
  remote?.close();
  return remote !== null;
}

/** Tokens and accounts hold in the demo too: they say who may ask, not whom the gallery knows. */
async function shareAccess(from: Settings, to: Settings, io: CommandIo): Promise<void> {
  if (!existsSync(join(from.stateDir, 'gallery.db'))) return;
  const records = await withStore(from, io, (store) => store.accessRecords());
  if (records === null || records.length === 0) return;
  await withStore(to, io, async (store) => {
    for (const record of records) await store.putAccess(record);
  });
}

/** Null when somebody else has the gallery. */
async function withStore<Result>(
  place: Settings,
  io: CommandIo,
  use: (store: Store) => Promise<Result>,
): Promise<Result | null> {
  const store = openStore(place, io.log);
  try {
    await store.start(io.signal);
  } catch (thrown) {
    if (FacedError.from(thrown).code === 'gallery.locked') return null;
    throw thrown;
  }
  try {
    return await use(store);
  } finally {
    await store.stop();
  }
}
