import { relative } from 'node:path';
import { ulid } from 'ulid';
import { FacedError } from '../domain/errors.js';
import { deviceName } from '../inference/device.js';
import { ModelStore } from '../inference/index.js';
import { embedAll } from '../model-tools/bulk/embed-all.js';
import { pictureFiles } from '../model-tools/faces.js';
import type { House } from '../pipeline/house.js';
import type { PersonExport } from '../pipeline/ports.js';
import { bulkOptions } from './bulk-options.js';
import type { CommandIo, ExitCode } from './command.js';
import { withHouseAt } from './house.js';
import { settings } from './settings.js';

/** People go into the gallery in groups: one transaction each, and what an interruption costs. */
const GROUP = 50;

interface Refused {
  readonly path: string;
  readonly code: string;
  readonly reason: string;
}

/**
 * Enrols everybody of a folder, which has a folder of pictures for each, named as the person is. Pictures pass through
 * the same detection, alignment and rules as `enroll`. Whoever has a name that the gallery knows is left out, so that an
 * interrupted enrolment goes on when it is called again.
 */
export async function importFolder(
  dir: string,
  values: {
    config?: string | undefined;
    batch: string;
    workers?: string | undefined;
    devices?: string | undefined;
  },
  io: CommandIo,
): Promise<ExitCode> {
  const place = settings(io, values);
  const bulk = await bulkOptions(values);
  const { card } = await new ModelStore({ dir: place.modelsDir, logger: io.log }).card(
    place.config.models.recogniser,
  );
  const all = await pictureFiles(dir);
  const nameOf = (file: string): string | null => {
    const parts = relative(dir, file).replaceAll('\\', '/').split('/');
    return parts.length < 2 ? null : (parts[0] ?? '').normalize('NFC').trim();
  };
  const started = performance.now();
  const result = await withHouseAt(place, io, async (house) => {
    const here = new Set((await house.people()).map(({ name }) => name));
    const files = all.filter((file) => !here.has(nameOf(file) ?? ''));
    const known = new Set(all.flatMap((file) => nameOf(file) ?? []).filter((name) => here.has(name)));
    const filling = new Filling(house, card.space ?? card.id);
    const bar = io.progress('pictures', files.length);
    const refused: Refused[] = [];
    try {
      const load = await embedAll(
        {
          files,
          ...bulk,
          modelsDir: place.modelsDir,
          models: place.config.models,
          rule: 'subject',
          signal: io.signal,
        },
        async (batch, outcomes) => {
          for (const [at, outcome] of outcomes.entries()) {
            const file = files[batch * bulk.batch + at] ?? '';
            const name = nameOf(file);
            const path = relative(dir, file);
            if (outcome.vector === null) refused.push({ path, code: outcome.code, reason: outcome.reason });
            else if (name === null)
              refused.push({ path, code: 'usage.invalid', reason: 'it is in no folder of a person' });
            else await filling.add(name, path, outcome);
          }
          bar.advance(outcomes.length);
        },
      );
      await filling.flush();
      refused.push(...filling.refused);
      return { ...filling.added, pictures: files.length, known: known.size, refused, load };
    } finally {
      bar.stop();
    }
  });
  const seconds = (performance.now() - started) / 1000;
  const picturesPerSecond = result.pictures / Math.max(seconds, 1e-9);
  const lines = result.refused.map(({ path, code, reason }) => `  ${path}: ${code}: ${reason}`);
  io.print(
    { ...result, ...bulk, devices: bulk.devices.map(deviceName), seconds, picturesPerSecond },
    [
      `${result.people} people and ${result.samples} samples added, ${result.known} people were known (${picturesPerSecond.toFixed(1)} pictures a second)`,
      ...lines,
    ].join('\n'),
  );
  return result.samples > 0 || result.pictures === 0 ? 0 : 1;
}

/** People as they come, picture after picture, and in groups into the gallery. */
class Filling {
  readonly added = { people: 0, samples: 0 };
  /** What the gallery did not take: somebody else's face, an outlier, nothing new. */
  readonly refused: Refused[] = [];
  readonly #paths = new Map<string, string>();
  readonly #house: House;
  readonly #space: string;
  #group: PersonExport[] = [];

  constructor(house: House, space: string) {
    this.#house = house;
    this.#space = space;
  }

  async add(
    name: string,
    path: string,
    look: { vector: Float32Array; quality: PersonExport['embeddings'][number]['quality'] },
  ) {
    const now = Date.now();
    const { vector, quality } = look;
    const sample = { id: ulid(), space: this.#space, createdAt: now, quality, vector };
    this.#paths.set(sample.id, path);
    const current = this.#group.at(-1);
    if (current?.name === name) {
      const embeddings = [...current.embeddings, sample];
      this.#group[this.#group.length - 1] = { ...current, embeddings, samples: embeddings.length };
      return;
    }
    // The one before is complete: the pictures of a person follow each other.
    if (this.#group.length >= GROUP) await this.flush();
    this.#group.push({ id: ulid(), name, createdAt: now, updatedAt: now, samples: 1, embeddings: [sample] });
  }

  async flush(): Promise<void> {
    if (this.#group.length === 0) return;
    const people = this.#group;
    this.#group = [];
    try {
      const answer = await this.#house.importPeople({ people, actor: 'cli' });
      this.added.people += answer.people;
      this.added.samples += answer.samples;
      for (const { sample, person, code, reason } of answer.refused ?? [])
        this.refused.push({ path: this.#paths.get(sample) ?? person, code, reason });
      this.#paths.clear();
    } catch (thrown) {
      const error = FacedError.from(thrown);
      throw new FacedError(error.code, `${error.message} (${this.added.people} people were added before)`, {
        ...(error.fix === undefined ? {} : { fix: error.fix }),
        cause: thrown,
      });
    }
  }
}
