import { readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hashFile } from '../../inference/hash.js';
import { modelsDir } from '../../inference/model-dir.js';
import {
  assertEngine,
  boardName,
  findTrtexec,
  JETPACKS_TRTEXEC,
  refuseUnfit,
  runTrtexec,
  trtexecArguments,
  trtexecVersion,
} from '../../model-tools/engine.js';
import { loadSource, writeOutput } from '../../model-tools/variant.js';
import { type CommandIo, type ExitCode, parse, usage } from '../command.js';
import { resolveModel } from './resolve.js';

/**
 * `faced model engine [M] [--out O.engine] [--trtexec PATH] [--dry-run]`: a TensorRT engine in FP16 of the stock or half
 * model, made on the board that will run it, with a note `O.engine.json` by which faced-tensorrt refuses it elsewhere.
 */
export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, {
    out: { type: 'string' },
    trtexec: { type: 'string' },
    'dry-run': { type: 'boolean', default: false },
  });
  const { path, label, card } = await resolveModel(positionals[0], io);
  const out = values.out ?? join(modelsDir(io.env), `${label.replace(/\.onnx$/, '')}.engine`);
  if (!out.endsWith('.engine')) throw usage('--out ends with .engine');
  const { model, sha256 } = await loadSource(path);
  refuseUnfit(model, label);
  const unfinished = `${out}.tmp`;
  const args = trtexecArguments(model, { onnx: path, engine: unfinished });
  if (values['dry-run']) {
    const program = shownTrtexec(io.env, values.trtexec);
    io.print({ model: label, out, command: [program, ...args] }, [program, ...args].join(' '));
    return 0;
  }
  const program = findTrtexec(io.env, values.trtexec);
  try {
    const said = await runTrtexec({ program, args, signal: io.signal });
    await assertEngine(unfinished);
    const note = {
      file: out.split('/').at(-1) ?? out,
      ...(await hashFile(unfinished)),
      model: sha256,
      derivedFrom: card?.sha256 ?? (await originOf(path)) ?? sha256,
      precision: 'fp16',
      tensorrt: trtexecVersion(said),
      board: boardName(said),
    };
    // The note last: an engine without one is not served.
    await rm(`${out}.json`, { force: true });
    await rename(unfinished, out);
    await writeOutput(`${out}.json`, `${JSON.stringify(note, null, 2)}\n`);
    io.print(
      { model: label, out, engine: note },
      `${out}: ${note.bytes} bytes, TensorRT ${note.tensorrt}, ${note.board}\nfaced-tensorrt serves it when it and its folder belong to root.`,
    );
    return 0;
  } finally {
    await rm(unfinished, { force: true });
  }
}

/** Where none is installed, and none was named, JetPack's: a dry run says what would be run on the board. */
function shownTrtexec(env: NodeJS.ProcessEnv, given: string | undefined): string {
  if (given !== undefined) return findTrtexec(env, given);
  try {
    return findTrtexec(env);
  } catch {
    return JETPACKS_TRTEXEC;
  }
}

/** SHA-256 of the file that this one was made from, by the note beside it: on a board that has the file alone no card is known. */
async function originOf(path: string): Promise<string | undefined> {
  const text = await readFile(path.replace(/\.onnx$/, '.json'), 'utf8').catch(() => '');
  return /"derivedFrom"\s*:\s*"([0-9a-f]{64})"/.exec(text)?.[1];
}
