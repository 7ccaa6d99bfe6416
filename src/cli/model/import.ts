import { hashBytes } from '../../inference/hash.js';
import { encodeModel } from '../../model-tools/graph/index.js';
import { importModel } from '../../model-tools/import.js';
import { inspectModel } from '../../model-tools/inspect.js';
import { refuseSource, writeWithNote } from '../../model-tools/variant.js';
import { type CommandIo, type ExitCode, parse, usage } from '../command.js';

/**
 * `faced model import FILE --out M.onnx [--order rgb|bgr] [--licence TEXT]`: a PyTorch checkpoint or an ONNX file becomes
 * a model with a card beside it. What a file cannot say (channel order, licence) is asked for or set to what is usual.
 */
export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, {
    out: { type: 'string' },
    order: { type: 'string', default: 'rgb' },
    licence: { type: 'string', default: 'unknown: ask its maker before you use it' },
  });
  const [file] = positionals;
  if (file === undefined || positionals.length > 1) throw usage('import takes one checkpoint or ONNX file');
  if (values.out === undefined || !values.out.endsWith('.onnx')) throw usage('import needs --out M.onnx');
  if (values.order !== 'rgb' && values.order !== 'bgr')
    throw usage(`--order is rgb or bgr, not ${values.order}`);
  await refuseSource(values.out, file);
  const { model, form, input, dimensions, distance, sourceSha256 } = await importModel(file);
  const { parameters, macs } = await inspectModel(model);
  const bytes = encodeModel(model);
  const sha256 = hashBytes(bytes);
  const id = idOf(values.out);
  const card = {
    id,
    title: `Imported recogniser, ${dimensions} floats at ${input.width}x${input.height}`,
    role: 'recogniser',
    file: `${values.out.split('/').at(-1)}`,
    sha256,
    bytes: bytes.byteLength,
    licence: values.licence,
    notes: 'Check order and normalisation with faced eval.',
    input: {
      name: 'input',
      shape: [1, 3, input.height, input.width],
      layout: 'nchw',
      order: values.order,
      mean: 127.5,
      scale: 1 / 128,
    },
    output: { form: 'embedding', name: 'embedding', size: dimensions },
    space: `${id}-${sha256.slice(0, 12)}`,
    made: {
      by: 'faced model import',
      from: form === 'onnx' ? 'an ONNX file' : 'a PyTorch checkpoint, batch norm folded',
      sourceSha256,
      parameters,
      macs,
      ...(distance === null ? {} : { checked: '1 - cosine < 1e-6', distance }),
    },
  };
  await writeWithNote(values.out, bytes, { path: values.out.replace(/\.onnx$/, '.json'), content: card });
  io.print(
    { out: values.out, form, input, dimensions, bytes: bytes.byteLength, sha256, card },
    `${values.out}: ${form}, ${input.width}x${input.height} to ${dimensions} floats, ${bytes.byteLength} bytes`,
  );
  return 0;
}

function idOf(path: string): string {
  const stem = (path.split('/').at(-1) ?? 'model').replace(/\.onnx$/, '').toLowerCase();
  const id = stem
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^-+/, '')
    .slice(0, 63);
  return id === '' ? 'imported' : id;
}
