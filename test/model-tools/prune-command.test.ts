import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { loadModel } from '../../src/model-tools/graph/index.js';
import { dataPath, withoutData } from '../helpers/data.js';
import { facedIn } from '../helpers/faced.js';
import { testModels } from '../helpers/models.js';

interface Answer {
  readonly made: {
    readonly layers: readonly { name: string; channels?: number; removed?: number; zeros?: number }[];
    readonly sparsity?: number;
    readonly fewerMacs?: number;
    readonly sensitivity?: readonly { layer: string; lost: Readonly<Record<string, number>> }[];
  };
}

const LAYERS = ['--layer', 'conv1=0.2', '--layer', 'conv6_sep=0.3'];

describe('faced model prune', () => {
  test('takes the named shares out of an imported checkpoint', {
    skip: withoutData('checkpoints'),
  }, async (t) => {
    await testModels();
    const faced = await facedIn(t);
    const path = (name: string): string => join(faced.stateDir, name);
    const checkpoint = dataPath('checkpoints', 'mobilefacenet-128-zip.pt');
    await faced.json('model', 'import', checkpoint, '--out', path('m.onnx'));
    const bare = await faced.json('model', 'prune', path('m.onnx'), ...LAYERS, '--out', path('p.onnx'));
    assert.deepEqual((bare.answer as Answer).made.layers, [
      { name: 'conv1.conv', channels: 64, removed: 13 },
      { name: 'conv2.conv', channels: 512, removed: 154 },
    ]);
    const { graph } = await loadModel(path('p.onnx'));
    const first = graph.nodes.find(({ op }) => op === 'Conv');
    assert.deepEqual(graph.initializers.get(first?.inputs[1] ?? '')?.dims, [51, 3, 3, 3]);
    const again = await faced.json('model', 'prune', path('m.onnx'), ...LAYERS, '--out', path('q.onnx'));
    assert.equal(again.code, 0);
    assert.deepEqual(await readFile(path('q.onnx')), await readFile(path('p.onnx')));
  });

  test('finds the layers by their place where names are lost, and tells the sparsity of zeros', async (t) => {
    await testModels();
    const faced = await facedIn(t);
    const path = (name: string): string => join(faced.stateDir, name);
    const bare = await faced.json(
      'model',
      'prune',
      ...LAYERS,
      '--svg',
      path('s.svg'),
      '--out',
      path('p.onnx'),
    );
    const { layers, sensitivity } = (bare.answer as Answer).made;
    assert.deepEqual(layers, [
      { name: 'Conv_0', channels: 64, removed: 13 },
      { name: 'Conv_91', channels: 512, removed: 154 },
    ]);
    assert.equal(sensitivity?.length, 17);
    assert.match(await readFile(path('s.svg'), 'utf8'), /Conv_91<\/text>/);
    const command = ['model', 'prune', '--unstructured', ...LAYERS, '--out', path('z.onnx')];
    const { made } = (await faced.json(...command)).answer as Answer;
    const zeros = new Map(made.layers.map((layer) => [layer.name, layer.zeros ?? 0]));
    assert.ok((zeros.get('Conv_0') ?? 0) >= 346 && (zeros.get('Conv_91') ?? 0) >= 19661);
    assert.ok((made.sparsity ?? 0) > 0.01);
  });

  test('refuses shares and options that say nothing', async (t) => {
    await testModels();
    const faced = await facedIn(t);
    const out = ['--out', join(faced.stateDir, 'p.onnx')];
    for (const wrong of [
      ['--layer', 'conv1=1.5'],
      ['--layer', 'conv1='],
      ['--layer', 'conv99=0.2'],
      ['--layer', 'conv1=0.2', '--macs', '0.3'],
      ['--unstructured'],
      ['--unstructured', '--macs', '0.3'],
      ['--macs', '0.3'],
    ]) {
      const { code } = await faced.json('model', 'prune', ...wrong, ...out);
      assert.notEqual(code, 0, wrong.join(' '));
    }
  });
});
