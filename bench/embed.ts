/**
 * How `faced embed` scales with its threads:
 *
 *   node dist/bench/embed.js --images DIR [--workers 1,2,4] [--rounds 3] [--devices cpu]
 *
 * Calls the command in turn with each number of preparing threads, so that a busy moment of the machine falls on all of
 * them alike, and tells the medians of pictures in a second, of how many processors that kept busy, of the time on a
 * processor that a picture took, and of how busy the threads were. Ends with an error when two of the files differ by a
 * byte.
 */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { hashFile } from '../src/inference/hash.js';

const FACED = join(import.meta.dirname, '..', '..', 'bin', 'faced');
const { values } = parseArgs({
  options: {
    images: { type: 'string' },
    workers: { type: 'string', default: '1,2,4' },
    rounds: { type: 'string', default: '3' },
    devices: { type: 'string', default: 'cpu' },
  },
});
const { images } = values;
if (images === undefined) throw new Error('name a folder of photographs: --images DIR');

interface Answer {
  readonly pictures: number;
  readonly picturesPerSecond: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly load: { readonly prepare: number; readonly embed: number };
}

const counts = values.workers.split(',');
const answers = new Map(counts.map((count): [string, Answer[]] => [count, []]));
const hashes = new Set<string>();
const dir = await mkdtemp(join(tmpdir(), 'faced-embed-'));
try {
  for (let round = 0; round < Number(values.rounds); round += 1)
    for (const count of counts) {
      const out = join(dir, `${round}-${count}.npy`);
      const argv = ['embed', images, '--workers', count, '--devices', values.devices, '--out', out, '--json'];
      const text = execFileSync(FACED, argv, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
      answers.get(count)?.push(JSON.parse(text) as Answer);
      hashes.add((await hashFile(out)).sha256);
    }
} finally {
  await rm(dir, { recursive: true, force: true });
}
if (hashes.size !== 1) throw new Error(`${hashes.size} different files came out`);
const median = (list: readonly number[]): number =>
  [...list].sort((a, b) => a - b)[list.length >> 1] ?? Number.NaN;
const speed = (count: string): number =>
  median((answers.get(count) ?? []).map((one) => one.picturesPerSecond));
const first = speed(counts[0] ?? '');
console.log(
  `${cpus()[0]?.model}, ${availableParallelism()} processors, devices ${values.devices}, ${answers.get(counts[0] ?? '')?.[0]?.pictures} pictures, medians of ${values.rounds} rounds, the same bytes each time`,
);
console.log(
  '| workers | pictures a second | times | processors busy | CPU ms a picture | preparing threads busy | embedding busy |',
);
console.log('| --- | --- | --- | --- | --- | --- | --- |');
for (const count of counts) {
  const all = answers.get(count) ?? [];
  const loads = all.map(({ load }) => load);
  const busyCores = median(all.map(({ cpuSeconds, seconds }) => cpuSeconds / seconds));
  const cpuMs = median(all.map(({ cpuSeconds, pictures }) => (1000 * cpuSeconds) / pictures));
  const busy = [loads.map(({ prepare }) => prepare), loads.map(({ embed }) => embed)];
  const percent = busy.map((list) => `${(100 * median(list)).toFixed(0)} %`);
  console.log(
    `| ${[count, speed(count).toFixed(1), (speed(count) / first).toFixed(2), busyCores.toFixed(2), cpuMs.toFixed(1), ...percent].join(' | ')} |`,
  );
}
