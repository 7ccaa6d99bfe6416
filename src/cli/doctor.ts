import { attainablePromise, camerasOf, openCard } from '../assemble.js';
import type { Config } from '../config/index.js';
import { askKernel } from '../door/clock-trust.js';
import { HOLDER } from '../door/holder.js';
import { keySource } from '../gallery/key.js';
import { loadCards } from '../inference/card.js';
import { checkFile } from '../inference/store.js';
import { type Check, type ModelFinding, type PromiseFinding, runDoctor } from '../system/doctor.js';
import type { DoorFinding } from '../system/doctor-door.js';
import { type CommandIo, type ExitCode, parse } from './command.js';
import { withHouse } from './house.js';
import { COMMON_OPTIONS, type Settings, settings } from './settings.js';

export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values } = parse(argv, COMMON_OPTIONS);
  const found = settings(io, values);
  const { config, stateDir } = found;
  const checks = await runDoctor({
    stateDir,
    loadAddon: async () => (await import('../image/index.js')).opencvVersion(),
    models: () => modelFindings(found),
    cameras: camerasOf(config),
    brokerUrl: config.mqtt.url,
    key: () =>
      keySource({
        directory: stateDir,
        keyFile: config.gallery.keyFile ?? undefined,
        credentialsDirectory: io.env.CREDENTIALS_DIRECTORY,
      }),
    promise: () => promiseFinding(found, io, values),
    doors: {
      holder: HOLDER,
      doors: doorFindings(config),
      clockSynchronised: () =>
        config.access.clock === 'trusted' ? Promise.resolve(true) : askKernel(io.signal),
    },
  });
  io.print({ checks }, checks.map(line).join('\n'));
  return checks.every(({ ok }) => ok) ? 0 : 1;
}

function doorFindings({ doors, access }: Config): DoorFinding[] {
  return Object.entries(doors).map(([id, { lock, cameras, codes, modes, remoteUnlock }]) => {
    const rules = access.rules.filter((rule) => rule.doors.includes('all') || rule.doors.includes(id));
    const face = cameras.length > 0 && modes.includes('face');
    const code = codes.length > 0 && modes.includes('code');
    const two = cameras.length > 0 && codes.length > 0 && modes.includes('face+code');
    const people = rules.length > 0 ? [face, code, two].filter((open) => open).length : 0;
    return {
      id,
      driver: lock.driver,
      chip: lock.chip,
      waysIn: people + (remoteUnlock ? 1 : 0),
      needsClock: access.guests.length > 0 || rules.some(({ when }) => when !== 'always'),
    };
  });
}

/** The models that the configuration uses. */
async function modelFindings({ config, modelsDir }: Settings): Promise<ModelFinding[]> {
  const { detector, landmarks, recogniser, liveness } = config.models;
  const used = [detector, landmarks, recogniser, ...(config.liveness.passive === 'off' ? [] : [liveness])];
  const cards = await loadCards(modelsDir);
  return Promise.all(
    used.map(async (id) => {
      const placed = cards.get(id);
      if (placed === undefined) return { id, state: 'missing' as const };
      return checkFile(placed).then(
        () => ({ id, state: 'ready' as const }),
        (error: { code?: string }) => ({
          id,
          state: error.code === 'model.missing' ? ('missing' as const) : ('damaged' as const),
        }),
      );
    }),
  );
}

async function promiseFinding(
  found: Settings,
  io: CommandIo,
  values: { config?: string | undefined },
): Promise<PromiseFinding> {
  const card = await openCard(found);
  const people = await withHouse(io, values, (house) => house.people());
  const gallery = { people: people.length, samples: people.reduce((sum, one) => sum + one.samples, 0) };
  return {
    people: gallery.people,
    wanted: found.config.recognition.strangersPerThousand,
    ...attainablePromise(found.config, card, gallery),
  };
}

function line({ name, ok, detail, fix }: Check): string {
  return `${ok ? 'ok  ' : 'FAIL'} ${name.padEnd(8)} ${detail}${fix === undefined ? '' : `\n              → ${fix}`}`;
}
