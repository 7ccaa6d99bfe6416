import { join } from 'node:path';
import { makeStateDir } from '../config/index.js';
import { FacedError } from '../domain/errors.js';
import { fetchDemoPhotos } from '../inference/index.js';
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
  const place = { ...found, stateDir: makeStateDir(join(found.stateDir, 'demo')) };
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
