import '../lib/no-telemetry.js';
import { FacedError } from '../domain/errors.js';

/** Where a session runs. */
export type Device = { readonly kind: 'cpu' } | { readonly kind: 'cuda'; readonly id: number };

/**
 * A list of devices as people write it: `cpu` (once for each thread), `cuda:N`, or a bare number, which is the GPU of
 * that number where this build of ONNX Runtime has CUDA and another thread on the processor elsewhere. Throws
 * `usage.invalid`.
 */
export async function parseDevices(text: string): Promise<Device[]> {
  const words = text.split(',');
  const bareGpu = words.some((word) => /^\s*\d+\s*$/.test(word)) && (await hasCuda());
  const devices = words.map((word): Device => {
    const name = word.trim();
    const number = /^(cuda:|gpu:)?(\d{1,3})$/.exec(name);
    if (name === 'cpu' || /^cpu:\d{1,3}$/.test(name)) return { kind: 'cpu' };
    if (number === null)
      throw new FacedError('usage.invalid', `${name === '' ? 'nothing' : name} is no device`, {
        fix: 'devices are cpu, cuda:0, cuda:1, …, separated by commas: one thread for each',
      });
    const bare = number[1] === undefined;
    return bare && !bareGpu ? { kind: 'cpu' } : { kind: 'cuda', id: Number(number[2]) };
  });
  if (devices.length > 64) throw new FacedError('usage.invalid', `${devices.length} devices are too many`);
  return devices;
}

export function deviceName(device: Device): string {
  return device.kind === 'cpu' ? 'cpu' : `cuda:${device.id}`;
}

/** What onnxruntime-node calls the provider of a device. */
export function executionProvider(device: Device): 'cpu' | { name: 'cuda'; deviceId: number } {
  return device.kind === 'cpu' ? 'cpu' : { name: 'cuda', deviceId: device.id };
}

/** Asked only when it matters: ONNX Runtime takes a while to be loaded. */
async function hasCuda(): Promise<boolean> {
  const { listSupportedBackends } = await import('onnxruntime-node');
  return listSupportedBackends().some(({ name, bundled }) => name === 'cuda' && bundled);
}
