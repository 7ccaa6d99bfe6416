import { availableParallelism } from 'node:os';
import { parseDevices } from '../inference/device.js';
import { usage } from './command.js';

/** What `embed` and the enrolment of a folder take alike. */
export const BULK_OPTIONS = {
  batch: { type: 'string', default: '16' },
  workers: { type: 'string' },
  devices: { type: 'string' },
} as const;

/**
 * `--batch`, `--workers` and `--devices` of a bulk command. By default one thread prepares for each core but one, and one
 * embeds for every two cores: either takes about as long with a picture (docs/models.md), and what is too much of one
 * waits for the other.
 */
export async function bulkOptions(values: {
  readonly batch: string;
  readonly workers?: string | undefined;
  readonly devices?: string | undefined;
}) {
  const batch = Number(values.batch);
  const cores = availableParallelism();
  const workers = Number(values.workers ?? Math.max(1, cores - 1));
  const devices = values.devices ?? Array.from({ length: Math.max(1, cores >> 1) }, () => 'cpu').join(',');
  const whole = Number.isInteger(batch) && Number.isInteger(workers);
  if (!whole || batch < 1 || batch > 256 || workers < 1 || workers > 64)
    throw usage('--batch is 1 to 256 and --workers 1 to 64');
  return { batch, workers, devices: await parseDevices(devices) };
}
