import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FacedError } from '../domain/errors.js';
import { fetchDemoPhotos, fetchModels, ModelStore, untilReachable } from '../inference/index.js';
import { targetOf } from '../inference/variants.js';
import { makeVariant } from '../model-tools/variant.js';
import { watched } from '../model-tools/watch.js';
import { Notifier } from '../system/notify.js';
import { type CommandIo, type ExitCode, type Progress, parse, usage } from './command.js';
import { COMMON_OPTIONS, settings } from './settings.js';

/** As a service: shorter than systemd's TimeoutStartSec, and so long that its StartLimitBurst is never reached. */
const NETWORK_PATIENCE_MS = 60_000;
const NETWORK_PAUSE_MS = 5000;

type Run = (argv: readonly string[], io: CommandIo) => Promise<ExitCode>;

/** The workshop's pages are loaded when they are called: they bring the ONNX tools with them. */
const VERBS: Readonly<Record<string, () => Promise<Run>>> = {
  list: async () => list,
  fetch: async () => fetch,
  inspect: async () => (await import('./model/inspect.js')).run,
  import: async () => (await import('./model/import.js')).run,
  optimize: async () => (await import('./model/optimize.js')).run,
  quantize: async () => (await import('./model/quantize.js')).run,
  prune: async () => (await import('./model/prune.js')).run,
  half: async () => (await import('./model/half.js')).run,
  split: async () => (await import('./model/split.js')).run,
  head: async () => (await import('./model/head.js')).run,
  engine: async () => (await import('./model/engine.js')).run,
  verify: async () => (await import('./model/verify.js')).run,
  bench: async () => (await import('./model/bench.js')).run,
};

export const run: Run = async (argv, io) => {
  const [verb, ...rest] = argv;
  const load = verb !== undefined && Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
  if (load === undefined)
    throw usage(`model takes ${Object.keys(VERBS).join(', ')} (is ${verb ?? 'nothing'})`);
  const command = await load();
  return watchedBy(io, () => command(rest, io));
};

/** Long work over pictures ends soon after a signal, and shows at a terminal how far it is. */
async function watchedBy<T>(io: CommandIo, work: () => Promise<T>): Promise<T> {
  let bar: Progress | null = null;
  const onRuns = (count: number): void => {
    if (bar === null) bar = io.progress('runs of the network', count);
    else bar.grow(count);
  };
  try {
    return await watched({ signal: io.signal, onRuns, onRun: () => bar?.advance() }, work);
  } finally {
    (bar as Progress | null)?.stop();
  }
}

const list: Run = async (argv, io) => {
  const { values } = parse(argv, COMMON_OPTIONS);
  const { modelsDir } = settings(io, values);
  const models = (await new ModelStore({ dir: modelsDir, logger: io.log }).list()).map(
    ({ card, origin, path, present, variant, kind, why }) => ({
      id: card.id,
      title: card.title,
      role: card.role,
      origin,
      path,
      present,
      optimized: variant,
      form: kind,
      why,
      bytes: card.bytes,
      licence: card.licence,
      source: card.source?.npm ?? null,
    }),
  );
  const lines = models.map(({ id, role, present, form, title, why }) => {
    const state = present ? form : 'missing';
    const reason = present ? `\n${' '.repeat(17)}runs as ${form}: ${why}` : '';
    return `${id.padEnd(16)} ${role.padEnd(11)} ${state.padEnd(9)} ${title}${reason}`;
  });
  io.print({ dir: modelsDir, models }, [...lines, `in ${modelsDir}`].join('\n'));
  return 0;
};

/** The files of the shipped cards, their optimised form for this processor, and the photographs of the demo. */
const fetch: Run = async (argv, io) => {
  const { values, positionals } = parse(argv, {
    ...COMMON_OPTIONS,
    from: { type: 'string' },
    demo: { type: 'boolean' },
  });
  const { modelsDir } = settings(io, values);
  // As the service's ExecStartPre it may take as long as it comes forward.
  const notifier = new Notifier({ env: io.env });
  const onProgress = () => notifier.progress();
  const wanted = {
    ...{ dir: modelsDir, signal: io.signal, onProgress },
    ...(positionals.length === 0 ? {} : { ids: positionals }),
    ...(values.from === undefined ? {} : { from: values.from }),
  };
  const fetched = await untilReachable(() => fetchModels(wanted), {
    patienceMs: notifier.active ? NETWORK_PATIENCE_MS : 0,
    pause: () => sleep(NETWORK_PAUSE_MS, undefined, { signal: io.signal }),
    onWait: ({ code, message }) => io.log.warn({ code, reason: message }, 'the network is waited for'),
  });
  const target = targetOf(process.arch);
  // Whatever form is run, the optimised one is there to fall back on.
  const store = new ModelStore({ dir: modelsDir, logger: io.log, wish: 'float' });
  const missing =
    target === undefined
      ? []
      : (await store.list()).filter(
          ({ present, variant, origin }) => present && variant === null && origin === 'shipped',
        );
  const optimized: string[] = [];
  for (const { card, path } of missing) {
    if (target === undefined) break;
    try {
      await makeVariant({ id: card.id, stockFile: path, dir: modelsDir, target });
      optimized.push(card.id);
    } catch (error) {
      const { code, message } = FacedError.from(error);
      if (code !== 'model.write-failed') throw error;
      // On a full or read-only disk the stock form is what runs: slower, and better than nobody at the door.
      io.log.warn(
        { model: card.id, code, reason: message },
        'the optimised form was not written; the stock one runs',
      );
    }
    onProgress();
  }
  if (values.demo === true) await fetchDemoPhotos(join(modelsDir, 'demo'), { signal: io.signal, onProgress });
  const text = fetched.map(
    ({ id, written }) =>
      `${id.padEnd(16)} ${written ? 'fetched' : 'is here'}${optimized.includes(id) ? `, optimized for ${target}` : ''}`,
  );
  io.print({ dir: modelsDir, models: fetched, optimized }, text.join('\n'));
  return 0;
};
