import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** The root of the checkout, from the compiled test. */
export const ROOT = join(import.meta.dirname, '..', '..', '..');

/** Real photographs and checkpoints that are not part of the project; the end of README.md says how to bring them. */
const DATA = process.env.FACED_TEST_DATA ?? join(ROOT, '..', 'shared', 'data');

/** Use as a test's `skip` option: false when the data is there, else the reason. */
export function withoutData(part: 'lfw' | 'checkpoints'): string | false {
  return existsSync(join(DATA, part)) ? false : `needs test data ${part} (set FACED_TEST_DATA)`;
}

export function dataPath(...parts: string[]): string {
  return join(DATA, ...parts);
}
