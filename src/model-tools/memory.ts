import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { FacedError } from '../domain/errors.js';
import { entry } from '../lib/program.js';

const PROBE = fileURLToPath(entry('model-tools/memory-probe.js'));

/** What a process had in memory at most (resident) while it loaded a model and ran it once. */
export interface Peak {
  readonly peakBytes: number;
}

/**
 * Measures a model file, a folder of shards that run one after another, or, for comparison, a process that loads ONNX
 * Runtime and no model. Each in a process of its own. Throws `model.run-failed`.
 */
export async function measureMemory(what: { model: string } | { shards: string } | 'nothing'): Promise<Peak> {
  const argv =
    what === 'nothing' ? ['nothing'] : 'model' in what ? ['model', what.model] : ['shards', what.shards];
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [PROBE, ...argv]);
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Peak;
  } catch (cause) {
    throw new FacedError('model.run-failed', `the memory of ${argv.join(' ')} could not be measured`, {
      cause,
    });
  }
}

/** For people. */
export function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MB`;
}
