import type { Check } from '../domain/check.js';
import { type Board, PROFILES } from './board.js';

/** An engine process that answered, and answered right. */
export interface EngineFinding {
  /** `tensorrt`. */
  readonly engine: string;
  readonly engineVersion: string;
  /** Its own name for the board it runs on. */
  readonly board: string;
  readonly precision: string;
  /** The least cosine of its answers to those of FP32; null: there are no stored answers of this model. */
  readonly cosine: number | null;
}

export interface BackendOptions {
  /** Asks the engine process; rejects with what is wrong and the mend. null: ONNX Runtime runs the recogniser alone. */
  readonly engine: (() => Promise<EngineFinding>) | null;
}

/** What runs the recogniser. An engine that cannot be used is a failure although faced runs without it: it was asked for. */
export async function backendCheck({ engine }: BackendOptions, board: Board): Promise<Check> {
  const name = 'backend';
  if (engine === null) {
    const hint =
      PROFILES[board.profile].backend === 'tensorrt'
        ? '; the GPU of this board is not used: deploy/jetson/README.md sets it up'
        : '';
    return { name, ok: true, detail: `ONNX Runtime${hint}` };
  }
  try {
    const { engine: kind, engineVersion, board: its, precision, cosine } = await engine();
    const like =
      cosine === null ? 'not compared with FP32' : `answers like FP32 (cosine ${cosine.toFixed(5)})`;
    return { name, ok: true, detail: `${kind} ${engineVersion} on ${its}, ${precision}, ${like}` };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    const fix = error instanceof Error && 'fix' in error && typeof error.fix === 'string' ? error.fix : '';
    // On the host of a Jetson that means a driver that is not loaded; in a container it is as it should be.
    const gpu = board.accelerators.some((one) => one.startsWith('NVIDIA GPU'))
      ? ''
      : '; no NVIDIA GPU is visible here';
    return {
      name,
      ok: false,
      detail: `ONNX Runtime stands in: ${detail}${gpu}`,
      fix: fix || 'Look at `systemctl status faced-tensorrt` on the board.',
    };
  }
}
