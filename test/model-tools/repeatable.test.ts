import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { dataPath, withoutData } from '../helpers/data.js';
import { type Faced, facedIn } from '../helpers/faced.js';
import { testModels } from '../helpers/models.js';

/** Eight faces are the fewest that calibration takes. */
const PICTURES = 10;

/** Each command once, in a folder of its own with its own copy of the pictures. */
const COMMANDS: Readonly<Record<string, (pictures: string) => string[]>> = {
  optimize: () => ['optimize', 'landmarks68', '--out', 'made.onnx'],
  quantize: (pictures) => ['quantize', 'landmarks68', '--calibration', pictures, '--out', 'made.onnx'],
  half: (pictures) => ['half', 'landmarks68', '--calibration', pictures, '--out', 'made.onnx'],
  prune: (pictures) => [
    ...['prune', 'mobilefacenet', '--layer', 'conv1=0.2', '--calibration', pictures, '--out', 'made.onnx'],
  ],
  split: () => ['split', 'mobilefacenet', '--shards', '2', '--out', 'made'],
};

/** A note without what is measured anew each time. */
function withoutMeasured(note: string): string {
  const measured = (key: string): boolean => key === 'speed' || key === 'memory';
  return JSON.stringify(JSON.parse(note, (key, value: unknown) => (measured(key) ? undefined : value)));
}

/** The files that a command made, by their path in its folder. */
async function madeBy(faced: Faced, argv: readonly string[]): Promise<Map<string, string>> {
  const out = join(faced.stateDir, 'out');
  await mkdir(out);
  const whole = argv.map((word, at) => (argv[at - 1] === '--out' ? join(out, word) : word));
  const { code, stderr } = await faced.run('model', ...whole);
  assert.equal(code, 0, stderr);
  const found = new Map<string, string>();
  for (const entry of (await readdir(out, { recursive: true, withFileTypes: true })).filter((one) =>
    one.isFile(),
  )) {
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path);
    const note = path.endsWith('.json');
    found.set(path.slice(out.length), note ? withoutMeasured(bytes.toString()) : bytes.toString('base64'));
  }
  return found;
}

describe('the same inputs', { skip: withoutData('lfw') }, () => {
  for (const [name, command] of Object.entries(COMMANDS)) {
    test(`give faced model ${name} the same bytes in two folders`, async (t) => {
      await testModels();
      const photographs = dataPath('lfw', 'calibration');
      const names = (await readdir(photographs)).sort().slice(0, PICTURES);
      const answers: Map<string, string>[] = [];
      for (const folder of ['one', 'another place']) {
        const faced = await facedIn(t);
        const pictures = join(faced.stateDir, folder);
        // Copied in another order, which is the order that a folder may list them in.
        for (const file of folder === 'one' ? names : names.toReversed())
          await cp(join(photographs, file), join(pictures, file));
        answers.push(await madeBy(faced, command(pictures)));
      }
      const [one, other] = answers;
      assert.ok(one && other && one.size >= 2);
      assert.deepEqual([...other.keys()].sort(), [...one.keys()].sort());
      for (const [file, content] of one) assert.ok(other.get(file) === content, `${file} differs`);
    });
  }
});
