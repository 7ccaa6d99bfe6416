import { writeFileAtomic } from '../lib/atomic-file.js';
import { type CommandIo, type ExitCode, parse, usage } from './command.js';
import { dayOf } from './consent.js';
import { withHouse } from './house.js';
import { COMMON_OPTIONS } from './settings.js';

type Action = (argv: readonly string[], io: CommandIo) => Promise<ExitCode>;

/** What is kept about people beyond their names: samples, pictures, consent. */
export const DATA_ACTIONS: Readonly<Record<string, Action>> = {
  samples: async (argv, io) => {
    const { values, positionals } = parse(argv, COMMON_OPTIONS);
    const person = one(positionals, 'people samples takes one WHO');
    const samples = await withHouse(io, values, (house) => house.samples({ person }));
    const line = ({ id, quality, image, createdAt }: (typeof samples)[number]) =>
      `${id}  ${day(createdAt)}  quality ${quality.score.toFixed(2)}  ${image ? 'picture' : ''}`.trimEnd();
    io.print({ samples }, samples.map(line).join('\n'));
    return 0;
  },
  'remove-sample': async (argv, io) => {
    const { values, positionals } = parse(argv, COMMON_OPTIONS);
    if (positionals.length === 0) throw usage('people remove-sample takes at least one SAMPLE');
    await withHouse(io, values, async (house) => {
      for (const sample of positionals) await house.removeSample({ sample, actor: 'cli' });
    });
    io.print({ removed: positionals }, `removed ${positionals.join(', ')}`);
    return 0;
  },
  image: async (argv, io) => {
    const { values, positionals } = parse(argv, { ...COMMON_OPTIONS, out: { type: 'string' } });
    const sample = one(positionals, 'people image takes one SAMPLE');
    const { out } = values;
    if (out === undefined) throw usage('people image takes --out FILE');
    const jpeg = await withHouse(io, values, (house) => house.sampleImage({ sample }));
    await writeFileAtomic(out, jpeg, 0o600);
    io.print({ out, bytes: jpeg.byteLength }, `written to ${out}`);
    return 0;
  },
  'forget-images': async (argv, io) => {
    const { values, positionals } = parse(argv, COMMON_OPTIONS);
    if (positionals.length > 0) throw usage('people forget-images takes nothing');
    const { images } = await withHouse(io, values, (house) => house.forgetImages({ actor: 'cli' }));
    io.print({ images }, `${images} pictures deleted; the samples stay`);
    return 0;
  },
  reembed: async (argv, io) => {
    const { values, positionals } = parse(argv, COMMON_OPTIONS);
    if (positionals.length > 0) throw usage('people reembed takes nothing');
    const done = await withHouse(io, values, async (house) => {
      const { waiting } = await house.reembedding();
      const bar = io.progress('samples', waiting);
      let before = 0;
      const progress = (step: unknown): void => {
        const { done: now } = step as { done: number };
        bar.advance(now - before);
        before = now;
      };
      return house.reembed({ actor: 'cli' }, { progress, signal: io.signal }).finally(() => bar.stop());
    });
    const { reembedded, failed, withoutImage } = done;
    const left = withoutImage === 0 ? '' : `; ${withoutImage} have no picture: enrol these people again`;
    io.print(done, `${reembedded} samples embedded again, ${failed} failed${left}`);
    return failed === 0 ? 0 : 1;
  },
  consent: async (argv, io) => {
    const { values, positionals } = parse(argv, {
      ...COMMON_OPTIONS,
      text: { type: 'string' },
      date: { type: 'string' },
    });
    const person = one(positionals, 'people consent takes one WHO');
    const { text: version, date } = values;
    if (version === undefined) {
      const consents = await withHouse(io, values, (house) => house.consents({ person }));
      const lines = consents.map((consent) => `${day(consent.givenAt)}  ${consent.version}`);
      io.print({ consents }, consents.length === 0 ? 'no consent is recorded' : lines.join('\n'));
      return 0;
    }
    const givenAt = date === undefined ? Date.now() : dayOf(date);
    const consent = await withHouse(io, values, (house) =>
      house.recordConsent({ person, version, givenAt, actor: 'cli' }),
    );
    io.print({ consent }, `recorded: ${consent.version}, given on ${day(consent.givenAt)}`);
    return 0;
  },
  withdraw: async (argv, io) => {
    const { values, positionals } = parse(argv, COMMON_OPTIONS);
    const who = one(positionals, 'people withdraw takes one WHO');
    const person = await withHouse(io, values, (house) =>
      house.withdrawConsent({ person: who, actor: 'cli' }),
    );
    io.print({ removed: [person] }, `the withdrawal is recorded, and ${person.id} is removed`);
    return 0;
  },
};

function one(positionals: readonly string[], wrong: string): string {
  const [only] = positionals;
  if (only === undefined || positionals.length !== 1) throw usage(wrong);
  return only;
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
