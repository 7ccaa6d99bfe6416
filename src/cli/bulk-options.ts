import { availableParallelism } from 'node:os';
import { parseDevices } from '../inference/device.js';
import { usage } from './command.js';

/** What `embed` and the enrolment of a folder take alike. */
export const BULK_OPTIONS = {
  batch: { type: 'string', default: '16' },
  workers: { type: 'string' },
  devices: { type: 'string', default: 'cpu' },
} as const;

/** `--batch`, `--workers` and `--devices` of a bulk command. By default one thread prepares for each core but one. */
export async function bulkOptions(values: {
  readonly batch: string;
  readonly workers?: string | undefined;
  readonly devices: string;
}) {
  const batch = Number(values.batch);
  const workers = Number(values.workers ?? Math.max(1, availableParallelism() - 1));
  const whole = Number.isInteger(batch) && Number.isInteger(workers);
  if (!whole || batch < 1 || batch > 256 || workers < 1 || workers > 64)
    throw usage('--batch is 1 to 256 and --workers 1 to 64');
  return { batch, workers, devices: await parseDevices(values.devices) };
}
