import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { FacedError } from '../../src/domain/errors.js';
import { readCheckpoint } from '../../src/model-tools/checkpoint/torch.js';
import { noiseFeeds, runModel } from '../../src/model-tools/graph/index.js';
import { importModel } from '../../src/model-tools/import.js';
import { buildMobileFaceNet } from '../../src/model-tools/mobilefacenet/index.js';
import { cosineDistance } from '../../src/model-tools/optimize.js';
import { temporaryDir } from '../helpers/dirs.js';
import {
  call,
  dict,
  integer,
  list,
  moduleTree,
  type NamedTensor,
  named,
  none,
  numpyScalar,
  object,
  orderedDict,
  type Pickled,
  pickle,
  real,
  Storages,
  string,
  torchStream,
  torchZip,
  truth,
  tuple,
} from '../helpers/torch-files.js';
import {
  checkpointOf,
  type Layer,
  layersOf,
  type Names,
  referenceNet,
  type Shape,
  SMALL,
} from './mobilefacenets.js';

const code = (expected: string) => (error: unknown) => error instanceof FacedError && error.code === expected;

const parts = (role: string): [number, number, string] => {
  const [stage = '', block = '', part = ''] = role.split('.');
  return [Number(stage), Number(block), part];
};
const three = (stem: string): Names => ({
  conv: `${stem}.conv`,
  norm: `${stem}.bn`,
  slopes: `${stem}.prelu`,
});

/** One flat list of blocks, each a Sequential of eight. */
function flatNames({ stages }: Shape): (layer: Layer) => Names {
  return ({ role }) => {
    const fixed: Record<string, string> = {
      stem: 'conv1',
      filter: 'dw_conv1',
      separate: 'conv2',
      global: 'linear7',
      embedding: 'linear1',
    };
    const own = fixed[role];
    if (own !== undefined) return three(own);
    const [stage, block, part] = parts(role);
    const number = stages.slice(0, stage).reduce((sum, [, , blocks]) => sum + blocks, 0) + block;
    const at = { expand: 0, depthwise: 3, project: 6 }[part] ?? 0;
    const name = (offset: number): string => `blocks.${number}.conv.${at + offset}`;
    return { conv: name(0), norm: name(1), slopes: name(2) };
  };
}

/** Stages by name: `conv_23` begins one, `conv_3.model.N` goes on with it. */
function stagedNames(head: string): (layer: Layer) => Names {
  // The stages of SMALL, as these authors divide them.
  const begins: Record<number, string> = { 0: 'conv_23', 1: 'conv_34', 3: 'conv_45' };
  const goesOn: Record<number, string> = { 0: 'conv_3', 2: 'conv_4', 4: 'conv_5' };
  return ({ role }) => {
    if (role === 'stem') return three('conv1');
    if (role === 'filter') return three('conv2_dw');
    if (role === 'separate') return three('conv_6_sep');
    if (role === 'global') return three(`${head}conv_6_dw`);
    if (role === 'embedding') return { conv: `${head}linear`, norm: `${head}bn`, slopes: null };
    const [stage, block, part] = parts(role);
    const first = begins[stage] !== undefined && block === 0;
    const place = first ? begins[stage] : `${goesOn[stage]}.model.${stage === 0 ? block - 1 : block}`;
    return three(`${place}.${{ expand: 'conv', depthwise: 'conv_dw', project: 'project' }[part]}`);
  };
}

/** Everything is `layers`. */
function layeredNames(stages: readonly string[]): (layer: Layer) => Names {
  const block = (stem: string): Names => ({
    conv: `${stem}.layers.0`,
    norm: `${stem}.layers.1`,
    slopes: `${stem}.layers.2`,
  });
  return ({ role }) => {
    if (role === 'stem') return block('layers.0');
    if (role === 'filter') return block('layers.1');
    if (role === 'separate') return block('conv_sep');
    if (role === 'global') return block('features.layers.0');
    if (role === 'embedding') return { conv: 'features.layers.2', norm: 'features.layers.3', slopes: null };
    const [stage, number, part] = parts(role);
    const inner = { expand: 0, depthwise: 1, project: 2 }[part];
    const place = (stages[stage] ?? '').replace('N', String(number));
    return block(`${place}.layers.${inner}`);
  };
}

/** As a MobileNetV2, with ReLU6: the blocks are declared last, and the norms of the stem after its convolutions. */
function rectifiedNames(shape: Shape): (layer: Layer) => Names {
  const flat = flatNames(shape);
  return (layer) => {
    const fixed: Record<string, [string, string]> = {
      stem: ['conv1.0', 'conv1.1'],
      filter: ['dw_conv.depthwise', 'dw_conv.bn1'],
      mix: ['dw_conv.pointwise', 'dw_conv.bn2'],
      separate: ['conv2.0', 'conv2.1'],
      global: ['gdconv.depthwise', 'gdconv.bn'],
      embedding: ['conv3', 'bn'],
    };
    const own = fixed[layer.role];
    if (own !== undefined) return { conv: own[0], norm: own[1], slopes: null };
    const number = /\.(\d+)\./.exec(flat(layer).conv)?.[1];
    const at = { expand: ['0.0', '0.1'], depthwise: ['1.0', '1.1'], project: ['2', '3'] }[
      parts(layer.role)[2]
    ];
    const name = (part: string | undefined): string => `features.${number}.conv.${part}`;
    return { conv: name(at?.[0]), norm: name(at?.[1]), slopes: null };
  };
}

function rectifiedOrder(tensors: NamedTensor[]): NamedTensor[] {
  const place = ({ name }: NamedTensor): number =>
    [
      'conv1.',
      'dw_conv.depthwise',
      'dw_conv.pointwise',
      'dw_conv.bn',
      'conv2.',
      'gdconv.',
      'conv3',
      'bn',
    ].findIndex((prefix) => name.startsWith(prefix));
  const last = (tensor: NamedTensor): number => (place(tensor) === -1 ? 99 : place(tensor));
  return [...tensors].sort((a, b) => last(a) - last(b));
}

const RECTIFIED: Shape = { ...SMALL, stemFilter: 'separable', rectified: true };
const GROUPED: Shape = {
  ...SMALL,
  stemFilter: 'grouped',
  stages: [
    [1, 8, 1, 2],
    [1, 8, 4, 1],
    [2, 16, 1, 2],
    [2, 16, 6, 1],
    [4, 16, 1, 2],
    [2, 16, 2, 1],
  ],
};
const LARGE: Shape = {
  ...SMALL,
  stemFilter: 'none',
  stages: [
    [2, 8, 2, 1],
    [2, 8, 1, 2],
    [2, 8, 8, 1],
    [4, 16, 1, 2],
    [2, 16, 12, 1],
    [4, 16, 1, 2],
    [2, 16, 4, 1],
  ],
};

const SCHEMES: { name: string; shape: Shape; tensors: (shape: Shape) => NamedTensor[]; affine?: boolean }[] =
  [
    { name: 'a flat list of blocks', shape: SMALL, tensors: (s) => checkpointOf(layersOf(s), flatNames(s)) },
    {
      name: 'stages by name, a linear layer at the end',
      shape: SMALL,
      tensors: (s) => checkpointOf(layersOf(s), stagedNames(''), { linear: true }),
    },
    {
      name: 'stages by name, an output layer of its own, a norm without weight and bias',
      shape: SMALL,
      tensors: (s) =>
        checkpointOf(layersOf(s), stagedNames('output_layer.'), { linear: true, affine: false }),
      affine: false,
    },
    {
      name: 'layers of layers, a grouped stem, and blocks whose widths show no stage',
      shape: GROUPED,
      tensors: (s) =>
        checkpointOf(
          layersOf(s),
          layeredNames([
            'layers.2',
            'layers.3.layers.N',
            'layers.4',
            'layers.5.layers.N',
            'layers.6',
            'layers.7.layers.N',
          ]),
          { linear: true },
        ),
    },
    {
      name: 'layers of layers, bottlenecks right after the first convolution',
      shape: LARGE,
      tensors: (s) =>
        checkpointOf(
          layersOf(s),
          layeredNames([
            'layers.1.layers.N',
            'layers.2',
            'layers.3.layers.N',
            'layers.4',
            'layers.5.layers.N',
            'layers.6',
            'layers.7.layers.N',
          ]),
          { linear: true },
        ),
    },
    {
      name: 'a MobileNetV2 with ReLU6, declared out of order',
      shape: RECTIFIED,
      tensors: (s) => checkpointOf(layersOf(s), rectifiedNames(s), { order: rectifiedOrder }),
    },
  ];

describe('a checkpoint named as', () => {
  for (const { name, shape, tensors, affine } of SCHEMES) {
    test(`${name} answers like the network written down node by node`, async () => {
      await answersLikeReference(stateOf(tensors(shape)), shape, { affine: affine ?? true });
    });
  }

  for (const head of [
    [3, 3],
    [5, 5],
    [7, 6],
    [4, 7],
  ] as const) {
    test(`ever, with a head of ${head.join('x')}`, async () => {
      const shape = { ...SMALL, head };
      const state = stateOf(checkpointOf(layersOf(shape), flatNames(shape)));
      assert.deepEqual(buildMobileFaceNet(state).input, { width: 16 * head[1], height: 16 * head[0] });
      await answersLikeReference(state, shape, { affine: true });
    });
  }

  test('any of them but without slopes is refused, since the activation is not in the file', () => {
    const layers = layersOf(SMALL);
    const bare = checkpointOf(layers, (layer) => ({ ...flatNames(SMALL)(layer), slopes: null }));
    assert.throws(() => buildMobileFaceNet(stateOf(bare)), /no PReLU slopes beside blocks\.0\.conv\.0/);
  });
});

describe('a file of', () => {
  const tensors = checkpointOf(layersOf(SMALL), flatNames(SMALL));
  const plain = stateOf(tensors);
  const forms: [string, (storages: Storages) => Pickled][] = [
    ['a bare state_dict', (storages) => storages.stateDict(tensors)],
    ['DataParallel', (storages) => storages.stateDict(tensors, 'module.')],
    ['a backbone with a margin head beside it', (storages) => withMargin(storages, tensors)],
    [
      'a training state under net_state_dict',
      (storages) =>
        dict(['iters', integer(42)], ['net_state_dict', storages.stateDict(tensors)], ['lr', real(0.1)]),
    ],
    [
      'a training state under state_dict, with prefixes and numbers of NumPy',
      (storages) =>
        dict(
          ['best', numpyScalar('numpy.core.multiarray')],
          ['newer', numpyScalar('numpy._core.multiarray')],
          ['state_dict', storages.stateDict(tensors, 'module.backbone.')],
        ),
    ],
    [
      'a training state under model, with an optimiser',
      (storages) =>
        dict(
          ['optimizer', dict(['state', dict()], ['param_groups', list(dict(['lr', real(0.1)]))])],
          ['model', storages.stateDict(tensors, 'model.')],
        ),
    ],
    ['a whole module of a class that is not here', (storages) => wholeModule(storages, tensors)],
  ];
  for (const [name, write] of forms) {
    test(`${name} gives the same tensors in both forms`, () => {
      for (const pack of [torchZip, torchStream]) {
        const storages = new Storages();
        assert.deepEqual(readCheckpoint(pack(write(storages), storages)), plain);
      }
    });
  }

  for (const folder of ['archive', 'mobilefacenet_script']) {
    test(`TorchScript below ${folder}/ is read for its tensors alone`, async (t) => {
      const dir = await temporaryDir(t);
      const storages = new Storages();
      const bytes = torchZip(scriptModule(storages, tensors), storages, { folder, script: true });
      assert.deepEqual(readCheckpoint(bytes), plain);
      const path = join(dir, 'net.pt');
      await writeFile(path, bytes);
      const { form, input, dimensions } = await importModel(path);
      assert.deepEqual(
        { form, ...input, dimensions },
        { form: 'pytorch', width: 112, height: 112, dimensions: 32 },
      );
    });
  }

  test('a whole module whose norms have another epsilon is refused, since it would answer wrongly', () => {
    const storages = new Storages();
    const other = wholeModule(storages, tensors, 2e-5);
    assert.throws(() => readCheckpoint(torchZip(other, storages)), /conv1\.bn\.eps is 0\.00002/);
  });

  test('an archive that is cut off anywhere is said to be so', () => {
    const storages = new Storages();
    const bytes = torchZip(storages.stateDict(tensors), storages);
    for (let share = 0.05; share < 1; share += 0.05)
      assert.throws(
        () => readCheckpoint(bytes.subarray(0, Math.floor(bytes.length * share))),
        code('model.unreadable'),
      );
  });

  test('tensors that claim more than there is, or terabytes, is refused before memory is taken', () => {
    const storages = new Storages();
    const small = { dims: [1000], values: new Float32Array(10) };
    assert.throws(
      () => readCheckpoint(torchZip(orderedDict(['w', storages.tensor(small)]), storages)),
      /w reaches beyond its storage/,
    );
    const huge = new Storages();
    const lie = orderedDict(
      ...Array.from({ length: 400 }, (_, at): [string, Pickled] => [
        `w${at}`,
        huge.tensor({ dims: [2 ** 15, 2 ** 15], values: new Float32Array(1) }),
      ]),
    );
    assert.throws(() => readCheckpoint(torchZip(lie, huge)), /tensors claim \d+ elements/);
  });

  test('modules that refer to themselves comes to an end', () => {
    // Two objects that hold each other twice over: a walk that forgets where it was takes 2^32 steps.
    const memo = (at: number): Buffer => Buffer.from([0x71, at]);
    const recall = (at: number): Buffer => Buffer.from([0x68, at]);
    const empty = object(named('acme', 'Net')).subarray(0, -3);
    const make = (at: number): Buffer => Buffer.concat([empty.subarray(0, empty.length - 1), memo(at)]);
    const knot = Buffer.concat([
      make(0),
      dict(
        ['a', Buffer.concat([make(1), dict(['x', recall(0)], ['y', recall(0)]), Buffer.from('b')])],
        ['b', recall(1)],
      ),
      Buffer.from('b'),
    ]);
    assert.throws(() => readCheckpoint(torchZip(knot, new Storages())), code('checkpoint.mismatch'));
  });

  test('another network says which shapes did not fit', () => {
    const resnet = stateOf([
      { name: 'conv1.weight', dims: [64, 3, 7, 7], values: new Float32Array(64 * 147) },
      { name: 'layer1.0.conv1.weight', dims: [64, 64, 3, 3], values: new Float32Array(64 * 576) },
    ]);
    assert.throws(
      () => buildMobileFaceNet(resnet),
      (error) =>
        code('checkpoint.mismatch')(error) &&
        /conv1 of shape \[64, 3, 7, 7\] where a 3x3/.test(String(error)),
    );
  });
});

describe('a hostile file', () => {
  const system = (args: Pickled) => call(named('os', 'system'), args);
  const hidden: [string, Pickled, RegExp][] = [
    ['in a state_dict', dict(['w', system(tuple(string('id')))]), /os\.system/],
    ['as posix', call(named('posix', 'system'), tuple(string('id'))), /posix\.system/],
    [
      'as a rebuild of a tensor',
      call(
        named('torch._tensor', '_rebuild_from_type_v2'),
        tuple(named('nt', 'system'), none, tuple(), none),
      ),
      /nt\.system/,
    ],
    ['by getattr', call(named('builtins', 'getattr'), tuple(none, string('x'))), /builtins\.getattr/],
    [
      'by a loader of bytes',
      call(named('torch.storage', '_load_from_bytes'), tuple(none)),
      /torch\.storage\._load_from_bytes/,
    ],
    ['by an unknown class with arguments', call(named('acme', 'Thing'), tuple(integer(1))), /acme\.Thing/],
  ];
  for (const [name, root, expected] of hidden) {
    test(`that runs something ${name} is refused by name, in both forms`, () => {
      for (const bytes of [torchZip(root, new Storages()), torchStream(root, new Storages())])
        assert.throws(
          () => readCheckpoint(bytes),
          (error) => code('checkpoint.refused')(error) && expected.test(String(error)),
        );
    });
  }

  test('in the protocol of the oldest pickles is refused by name, whatever the file is called', async (t) => {
    const dir = await temporaryDir(t);
    for (const text of ["cos\nsystem\n(S'id'\ntR.", "(S'id'\nios\nsystem\n.", '(cacme\nThing\nI1\no.']) {
      const path = join(dir, 'model.pth');
      await writeFile(path, text);
      await assert.rejects(
        importModel(path),
        (error) => code('checkpoint.refused')(error) && /os\.system|acme\.Thing/.test(String(error)),
      );
    }
  });

  test('that is only a pickle is no checkpoint', () => {
    assert.throws(
      () => readCheckpoint(pickle(dict(['w', list(real(1), real(2))]))),
      code('model.unreadable'),
    );
  });
});

function stateOf(tensors: readonly NamedTensor[]) {
  return new Map(tensors.map(({ name, dims, values }) => [name, { dims: [...dims], values }]));
}

async function answersLikeReference(
  state: ReturnType<typeof stateOf>,
  shape: Shape,
  options: { affine: boolean },
): Promise<void> {
  const { model, input, dimensions, blocks } = buildMobileFaceNet(state);
  assert.equal(dimensions, shape.dimensions);
  assert.equal(
    blocks,
    shape.stages.reduce((sum, [, , count]) => sum + count, 0),
  );
  assert.equal(input.height / (shape.head[0] ?? 1), 16);
  const feeds = noiseFeeds(model.graph.inputs, { batch: 2, scale: 1 });
  const mine = (await runModel(model, feeds)).embedding;
  const reference = (await runModel(referenceNet(layersOf(shape), options), feeds)).embedding;
  assert.ok(mine && reference);
  assert.deepEqual(mine.dims, reference.dims);
  assert.ok(cosineDistance(mine, reference) < 1e-6);
}

function withMargin(storages: Storages, tensors: readonly NamedTensor[]): Pickled {
  const margin = { name: 'head.weight', dims: [10, 32], values: new Float32Array(320) };
  return storages.stateDict([
    ...tensors.map((tensor) => ({ ...tensor, name: `backbone.${tensor.name}` })),
    margin,
  ]);
}

/** `torch.save(model)`: objects of the author's classes and of torch.nn, with their dictionaries. */
function wholeModule(storages: Storages, tensors: readonly NamedTensor[], epsilon = 1e-5): Pickled {
  return moduleTree(tensors, (_path, own, children) => {
    const buffers = own.filter(({ name }) => name.startsWith('running_'));
    const parameters = own.filter((tensor) => !buffers.includes(tensor));
    const cls =
      own.length === 0
        ? named('acme.models', 'MobileFaceNet')
        : named('torch.nn.modules', buffers.length > 0 ? 'BatchNorm2d' : 'Conv2d');
    return object(
      cls,
      ['training', truth(false)],
      [
        '_parameters',
        orderedDict(
          ...parameters.map((tensor): [string, Pickled] => [tensor.name, storages.parameter(tensor)]),
        ),
      ],
      [
        '_buffers',
        orderedDict(...buffers.map((tensor): [string, Pickled] => [tensor.name, storages.tensor(tensor)])),
      ],
      ['_non_persistent_buffers_set', call(named('__builtin__', 'set'), tuple(list()))],
      ['_forward_hooks', orderedDict()],
      ['_modules', orderedDict(...children)],
      ...(buffers.length > 0 ? [['eps', real(epsilon)] as [string, Pickled]] : []),
    );
  });
}

/** `torch.jit.save`: classes made for the archive, attributes at the module itself. */
function scriptModule(storages: Storages, tensors: readonly NamedTensor[]): Pickled {
  return moduleTree(tensors, (path, own, children) =>
    object(
      named(`__torch__.net.___torch_mangle_${path.length}`, 'Module'),
      ['training', truth(false)],
      ['_is_full_backward_hook', none],
      ...own.map((tensor): [string, Pickled] => [tensor.name, storages.tensor(tensor)]),
      ...children,
    ),
  );
}
