import { relative } from 'node:path';
import { FacedError } from '../../domain/errors.js';
import { HEAD_NAME, headFileOf, writeHead } from '../../inference/heads.js';
import { ModelStore } from '../../inference/index.js';
import { embedAll } from '../../model-tools/bulk/embed-all.js';
import { pictureFiles } from '../../model-tools/faces.js';
import { encodeModel } from '../../model-tools/graph/index.js';
import { appendHead, crossValidate, type Example, trainHead } from '../../model-tools/head.js';
import { loadSource, refuseSource, writeOutput } from '../../model-tools/variant.js';
import { BULK_OPTIONS, bulkOptions } from '../bulk-options.js';
import { type CommandIo, type ExitCode, parse, usage } from '../command.js';
import { COMMON_OPTIONS, settings } from '../settings.js';
import { finish } from './quantize.js';

/** Pictures of the smallest class that can be split into five parts. */
const FEWEST = 5;

/**
 * `faced model head train DIR --out O.onnx|H.json [--model ID] [--name NAME]`: DIR has a folder of pictures for each
 * class; a folder in it is a group (one person) that stays together when the head is tested. `O.onnx` is the recogniser
 * with the head as its second output, and `O.head.json` beside it the head alone; `H.json` is only that. The second is
 * what `models.heads` names.
 */
export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, {
    ...COMMON_OPTIONS,
    ...BULK_OPTIONS,
    out: { type: 'string' },
    model: { type: 'string' },
    name: { type: 'string', default: 'head' },
  });
  const [verb, dir] = positionals;
  if (verb !== 'train' || dir === undefined || positionals.length > 2)
    throw usage('head takes: train DIR --out O.onnx|H.json');
  const { out, name } = values;
  if (out === undefined || !/\.(onnx|json)$/.test(out))
    throw usage('head train needs --out O.onnx or --out H.json');
  if (!HEAD_NAME.test(name)) throw usage('--name is small letters, digits and _, at most 32');
  const bulk = await bulkOptions(values);
  const { config, modelsDir } = settings(io, values);
  const models = { ...config.models, recogniser: values.model ?? config.models.recogniser };
  const { card, path } = await new ModelStore({ dir: modelsDir, logger: io.log }).card(models.recogniser);
  await refuseSource(out, path);
  const files = await pictureFiles(dir);
  const placed = files.map((file) => relative(dir, file).replaceAll('\\', '/').split('/'));
  const classes = [...new Set(placed.flatMap((parts) => (parts.length < 2 ? [] : [parts[0] ?? ''])))].sort();
  if (classes.length === 0)
    throw new FacedError('calibration.invalid', `${dir} has no folders with pictures in them`, {
      fix: 'make a folder for each class, such as glasses and none, and put pictures of faces into them',
    });
  const examples: Example[] = [];
  let without = 0;
  const bar = io.progress('pictures', files.length);
  await embedAll(
    { files, ...bulk, modelsDir, models, rule: 'main', signal: io.signal },
    async (batch, outcomes) => {
      for (const [at, { vector }] of outcomes.entries()) {
        const [first = '', ...rest] = placed[batch * bulk.batch + at] ?? [];
        const label = rest.length === 0 ? -1 : classes.indexOf(first);
        if (vector === null || label === -1) without += 1;
        else examples.push({ vector, label, ...(rest.length > 1 ? { group: rest[0] ?? '' } : {}) });
      }
      bar.advance(outcomes.length);
    },
  ).finally(() => bar.stop());
  const counts = classes.map((_, label) => examples.filter((example) => example.label === label).length);
  if (classes.length < 2 || counts.some((count) => count < FEWEST)) {
    throw new FacedError(
      'calibration.invalid',
      `the classes ${classes.join(', ')} have ${counts.join(', ')} faces`,
      {
        fix: `make a folder for each of at least two classes, with at least ${FEWEST} faces in each, better 50`,
      },
    );
  }
  const validation = crossValidate(examples, classes);
  const head = { ...trainHead(examples, classes), name, space: card.space ?? card.id };
  const made = {
    by: 'softmax layer on the embedding',
    output: name,
    classes,
    faces: counts,
    without,
    validation,
  };
  const file = headFileOf(out);
  const written = writeHead(head, made);
  if (file !== out) {
    const { model, sha256: derivedFrom } = await loadSource(path);
    const bytes = encodeModel(appendHead(model, head, name));
    const beside = [{ path: file, content: written }];
    return finish(io, { out, bytes, derivedFrom, label: card.id, made, beside });
  }
  await writeOutput(file, `${JSON.stringify(written, null, 2)}\n`);
  io.print(
    { model: card.id, out, ...made },
    [
      `${out}: ${classes.map((one, at) => `${one} (${counts[at]})`).join(', ')}`,
      `  right in ${(100 * validation.accuracy).toFixed(1)} % of faces that training did not see (the largest class alone: ${(100 * validation.baseline).toFixed(1)} %)`,
    ].join('\n'),
  );
  return 0;
}
