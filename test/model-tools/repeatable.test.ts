import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { dataPath, withoutData } from '../helpers/data.js';
import { type Faced, facedIn } from '../helpers/faced.js';
import { testModels } from '../helpers/models.js';

/** Eight faces are the fewest that calibration takes. */
const PICTURES = 10;

interface Given {
  readonly pictures: string;
  /** A folder of pictures for each of two people. */
  readonly classes: string;
  readonly checkpoint: string;
}

/** Each command once, in a folder of its own with its own copy of what it reads. */
const COMMANDS: Readonly<Record<string, (given: Given) => string[]>> = {
  'model inspect': () => ['model', 'inspect', 'landmarks68', '--svg', 'made.svg'],
  'model import': ({ checkpoint }) => ['model', 'import', checkpoint, '--out', 'made.onnx'],
  'model optimize': () => ['model', 'optimize', 'landmarks68', '--out', 'made.onnx'],
  'model quantize': ({ pictures }) => [
    ...['model', 'quantize', 'landmarks68', '--calibration', pictures, '--out', 'made.onnx'],
  ],
  'model quantize --dynamic': () => ['model', 'quantize', 'landmarks68', '--dynamic', '--out', 'made.onnx'],
  'model half': ({ pictures }) => [
    ...['model', 'half', 'landmarks68', '--calibration', pictures, '--out', 'made.onnx'],
  ],
  'model prune --layer': ({ pictures }) => [
    ...['model', 'prune', '--layer', 'conv1=0.2', '--calibration', pictures],
    ...['--svg', 'made.svg', '--out', 'made.onnx'],
  ],
  'model prune --macs': ({ pictures }) => [
    ...['model', 'prune', '--macs', '0.31', '--calibration', pictures, '--out', 'made.onnx'],
  ],
  'model prune --unstructured': () => [
    ...['model', 'prune', '--unstructured', '--share', '0.3', '--out', 'made.onnx'],
  ],
  'model split': () => ['model', 'split', '--shards', '2', '--out', 'made'],
  'model head train': ({ classes }) => [
    ...['model', 'head', 'train', classes, '--name', 'who', '--out', 'made.onnx'],
  ],
  embed: ({ pictures }) => ['embed', pictures, '--batch', '4', '--workers', '2', '--out', 'made.npy'],
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
  const whole = argv.map((word, at) => (/^--(out|svg)$/.test(argv[at - 1] ?? '') ? join(out, word) : word));
  const { code, stderr } = await faced.run(...whole);
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

/** What the commands read, in a folder of that name, copied in an order of its own. */
async function given(faced: Faced, folder: string): Promise<Given> {
  const dir = join(faced.stateDir, folder);
  // A folder may list its files in the order in which they came.
  const inOrder = (names: string[]): string[] =>
    folder === FOLDERS[0] ? names.sort() : names.sort().reverse();
  const copy = async (from: string, to: string, count: number): Promise<void> => {
    for (const file of inOrder((await readdir(from)).sort().slice(0, count)))
      await cp(join(from, file), join(to, file));
  };
  const [pictures, classes] = [join(dir, 'pictures'), join(dir, 'classes')];
  await copy(dataPath('lfw', 'calibration'), pictures, PICTURES);
  for (const person of inOrder(['Tony_Blair', 'Pete_Sampras']))
    await copy(dataPath('lfw', 'images', person), join(classes, person), 6);
  const checkpoint = join(dir, 'checkpoint.pt');
  await cp(dataPath('checkpoints', 'mobilefacenet-128-zip.pt'), checkpoint);
  return { pictures, classes, checkpoint };
}

const FOLDERS = ['one', 'another place'] as const;

describe('the same inputs', { skip: withoutData('lfw') || withoutData('checkpoints') }, () => {
  for (const [name, command] of Object.entries(COMMANDS)) {
    test(`give faced ${name} the same bytes in two folders`, async (t) => {
      await testModels();
      const answers: Map<string, string>[] = [];
      for (const folder of FOLDERS) {
        const faced = await facedIn(t);
        answers.push(await madeBy(faced, command(await given(faced, folder))));
      }
      const [one, other] = answers;
      assert.ok(one && other && one.size >= (name === 'model inspect' ? 1 : 2));
      assert.deepEqual([...other.keys()].sort(), [...one.keys()].sort());
      for (const [file, content] of one) assert.ok(other.get(file) === content, `${file} differs`);
    });
  }
});
