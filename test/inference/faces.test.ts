import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import type { Image } from '../../src/domain/frame.js';
import { createImage, decode, resizeInto, toBgrInto, toGrayInto } from '../../src/image/index.js';
import { CardFaceDetector } from '../../src/inference/detector.js';
import { CardFaceEmbedder } from '../../src/inference/embedder.js';
import { FOR_PICTURES, openModels } from '../../src/inference/index.js';
import { PointFinder } from '../../src/inference/points.js';
import type { ModelRunner } from '../../src/inference/session.js';
import { alignFace, ImageAnalyser } from '../../src/pipeline/analyse.js';
import { iou, shiftBox } from '../../src/vision/boxes.js';
import { similarity } from '../../src/vision/similarity.js';
import { dataPath, withoutData } from '../helpers/data.js';
import { demoPhotos, testStore } from '../helpers/models.js';

const picture = async (path: string): Promise<Image> => decode(await readFile(path));
/** The photograph with the most people of those that the demonstration brings. */
const photo = async (index: number): Promise<Image> => picture((await demoPhotos())[index] ?? '');

function part(image: Image, roi: { x: number; y: number; width: number; height: number }, scale = 1): Image {
  const target = createImage(Math.round(roi.width * scale), Math.round(roi.height * scale), image.format);
  resizeInto(image, target, { roi });
  return target;
}

test('all faces of a real photograph are found once each, with points in their places', async (t) => {
  const { detector } = await openModels({ store: await testStore(t) });
  const counts: number[] = [];
  for (let index = 0; index < 6; index++) {
    const image = await photo(index);
    const faces = await detector.detect(image);
    counts.push(faces.length);
    for (const [at, { box, landmarks, contour }] of faces.entries()) {
      const [leftEye, rightEye, nose, leftMouth, rightMouth] = landmarks;
      assert.ok(leftEye.x < rightEye.x && leftMouth.x < rightMouth.x);
      assert.ok(nose.y > (leftEye.y + rightEye.y) / 2 && nose.y < (leftMouth.y + rightMouth.y) / 2);
      assert.ok(
        nose.x > box.x && nose.x < box.x + box.width && nose.y > box.y && nose.y < box.y + box.height,
      );
      assert.equal(contour?.length, 136);
      assert.ok(faces.slice(at + 1).every((other) => iou(other.box, box) <= 0.4));
    }
  }
  // Counted by eye.
  assert.deepEqual(counts, [3, 3, 3, 4, 5, 4]);
});

test('faces below the smallest size are left out', async (t) => {
  const { detector } = await openModels({ store: await testStore(t) });
  const image = await photo(0);
  const [face] = await detector.detect(image);
  assert.ok(face);
  const size = Math.min(face.box.width, face.box.height);
  const sizes = (await detector.detect(image, { minSize: size })).map(({ box }) =>
    Math.min(box.width, box.height),
  );
  assert.ok(sizes.length >= 1 && sizes.every((one) => one >= size));
  assert.deepEqual(await detector.detect(image, { minSize: 5000 }), []);
});

test('a face that the border cuts is found, and not recognised', async (t) => {
  const { detector } = await openModels({ store: await testStore(t) });
  const image = await photo(0);
  const [face] = await detector.detect(image);
  assert.ok(face);
  // The picture begins in the middle between the left eye and the nose.
  const cut = Math.round((face.landmarks[0].x + face.landmarks[2].x) / 2);
  const rest = part(image, { x: cut, y: 0, width: image.width - cut, height: image.height });
  const faces = await detector.detect(rest);
  const moved = { ...face.box, x: face.box.x - cut };
  const cutFace = faces.find(({ box }) => iou(box, moved) > 0.3);
  assert.ok(cutFace, 'it is found');
  const analyser = new ImageAnalyser(await openModels({ store: await testStore(t) }).then(withoutLiveness));
  const { faces: analysed } = await analyser.analyse(rest);
  const poor = analysed.find((one) => iou(one.face.box, moved) > 0.3);
  assert.equal(poor?.poor, 'cut-off');
  assert.equal(poor?.embedding, null);
});

test('a picture that a face fills is found by the second look', async (t) => {
  const store = await testStore(t);
  const plain = await openModels({ store });
  const second = await openModels({ store, detector: { secondLook: true } });
  const image = await photo(0);
  const faces = await plain.detector.detect(image);
  let onlySecond = 0;
  for (const { box } of faces) {
    for (const margin of [0.25, 0.3, 0.35]) {
      const inner = {
        x: box.x + box.width * margin,
        y: box.y + box.height * margin,
        width: box.width * (1 - 2 * margin),
        height: box.height * (1 - 2 * margin),
      };
      const tight = part(image, inner, 150 / inner.width);
      const first = await plain.detector.detect(tight);
      const again = await second.detector.detect(tight);
      for (const one of first) {
        const same = again.filter((other) => iou(other.box, one.box) > 0.3);
        assert.equal(same.length, 1, 'who was found stays, once');
      }
      if (first.length === 0 && again.length > 0) onlySecond++;
    }
  }
  assert.ok(onlySecond > 0);
});

test('small faces of a large picture are found in its quarters', async (t) => {
  const store = await testStore(t);
  const image = await photo(3);
  const wide = createImage(2400, 1800, 'bgr24');
  // The photograph at three tenths of its size in one corner of a grey picture: faces of about 50 pixels.
  wide.data.fill(120);
  const small = part(image, { x: 0, y: 0, width: image.width, height: image.height }, 0.3);
  for (let row = 0; row < small.height; row++) {
    wide.data.set(
      small.data.subarray(row * small.width * 3, (row + 1) * small.width * 3),
      ((row + 40) * wide.width + 40) * 3,
    );
  }
  const whole = await (await openModels({ store })).detector.detect(wide);
  const tiled = await (await openModels({ store, detector: { tileAbove: 4 } })).detector.detect(wide);
  assert.ok(whole.length < 4 && tiled.length === 4, `${whole.length} and ${tiled.length}`);
});

test('the same person is nearer than anybody else, on stock models and on optimised ones', async (t) => {
  for (const variants of [false, true]) {
    const analyser = new ImageAnalyser(
      withoutLiveness(await openModels({ store: await testStore(t, { variants }) })),
    );
    const image = await photo(2);
    const { faces } = await analyser.analyse(image);
    const again = await analyser.analyse(degraded(image));
    assert.equal(faces.length, 3);
    for (const one of faces) {
      const scores = again.faces.map((other) =>
        one.embedding && other.embedding ? similarity(one.embedding, other.embedding) : 0,
      );
      const same = again.faces.findIndex((other) => iou(other.face.box, one.face.box) > 0.5);
      assert.ok(same >= 0);
      for (const [index, score] of scores.entries()) {
        if (index !== same) assert.ok(score < (scores[same] ?? 0) - 0.2, `${score} and ${scores[same]}`);
      }
    }
  }
});

test('faces that share a run get the answers they get alone, and stock and variant agree', async (t) => {
  const image = await photo(4);
  const answers: Float32Array[][] = [];
  for (const variants of [false, true]) {
    const { detector, embedder } = await openModels({ store: await testStore(t, { variants }) });
    const faces = (await detector.detect(image)).map((face) => alignFace(image, face));
    const together = await embedder.embed(faces);
    for (const [index, face] of faces.entries()) {
      const [alone] = await embedder.embed([face]);
      assert.ok(alone && together[index] && similarity(alone, together[index]) > 0.99999);
    }
    assert.equal(together.length, 5);
    answers.push(together.flatMap((one) => (one === null ? [] : [one.vector])));
  }
  assert.deepEqual(await (await openModels({ store: await testStore(t) })).embedder.embed([]), []);
  for (const [index, vector] of (answers[0] ?? []).entries()) {
    const other = answers[1]?.[index];
    const cosine = vector.reduce((sum, value, at) => sum + value * (other?.[at] ?? 0), 0);
    // The detectors differ in the last digits too, so the crops do.
    assert.ok(cosine > 0.999, `${cosine}`);
  }
});

/** A network that is sound, but for what `spoil` does to its answers. */
function spoilt(runner: ModelRunner, spoil: (answers: Map<string, Float32Array>) => void): ModelRunner {
  return {
    maxBatch: runner.maxBatch,
    stride: runner.stride,
    input: runner.input,
    run: async (count) => {
      const answers = new Map([...(await runner.run(count))].map(([name, values]) => [name, values.slice()]));
      spoil(answers);
      return answers;
    },
    release: () => runner.release(),
  };
}

test('an answer that is no face costs only itself and is counted', async (t) => {
  const store = await testStore(t);
  const { detector: sound } = await openModels({ store });
  const part = async (id: string) => ({ card: (await store.card(id)).card, runner: await store.runner(id) });
  const { card, runner } = await part('ultraface');
  const places = [
    [Number.NaN, 0.1, 0.2, 0.2],
    [0.3, 0.3, 0.3, 0.3],
    [0.5, 0.5, 0.4, 0.4],
    [0, 0, Number.POSITIVE_INFINITY, 1],
  ];
  const bad = spoilt(runner, (answers) => {
    for (const [index, place] of places.entries()) {
      answers.get('boxes')?.set(place, index * 4);
      answers.get('scores')?.set([0, 1], index * 2);
    }
  });
  const points = new PointFinder(await part('landmarks68'));
  let unusable = 0;
  const onUnusable = (): void => {
    unusable++;
  };
  const image = await photo(5);
  const faces = await new CardFaceDetector({ card, runner: bad, points }).detect(image, { onUnusable });
  assert.deepEqual(faces, await sound.detect(image));
  assert.equal(unusable, 4);

  const nowhere = await part('landmarks68');
  let looks = 0;
  const numb = spoilt(nowhere.runner, (answers) => {
    // The first face's points are all in one place, the second's are nowhere.
    const value = [0.5, Number.NaN][looks++];
    if (value !== undefined) for (const values of answers.values()) values.fill(value);
  });
  const parts = { card, runner, points: new PointFinder({ card: nowhere.card, runner: numb }) };
  const left = await new CardFaceDetector(parts).detect(image, { onUnusable });
  assert.deepEqual(left, faces.slice(2));
  assert.equal(unusable, 6);
});

test('a face of which the recogniser makes nothing has no embedding; the others of the run have theirs', async (t) => {
  const store = await testStore(t);
  const { detector, embedder } = await openModels({ store });
  const image = await photo(5);
  const faces = (await detector.detect(image)).map((face) => alignFace(image, face));
  const { card } = await store.card('mobilefacenet');
  const bad = spoilt(await store.runner('mobilefacenet'), (answers) => {
    for (const values of answers.values()) values.fill(Number.NaN, 0, 512);
  });
  let runs = 0;
  const once: ModelRunner = { ...bad, run: (count) => (runs++ === 0 ? bad : embedderRunner).run(count) };
  const embedderRunner = await store.runner('mobilefacenet');
  const answers = await new CardFaceEmbedder({ card, runner: once }).embed(faces);
  assert.equal(answers[0], null);
  assert.deepEqual(answers.slice(1), (await embedder.embed(faces)).slice(1));
});

test('a grey picture is detected, aligned and embedded like a colour one', async (t) => {
  const analyser = new ImageAnalyser(withoutLiveness(await openModels({ store: await testStore(t) })));
  const colour = await photo(5);
  const grey = createImage(colour.width, colour.height, 'gray8');
  toGrayInto(colour, grey);
  const three = createImage(colour.width, colour.height, 'bgr24');
  toBgrInto(grey, three);
  const [one, other] = [await analyser.analyse(grey), await analyser.analyse(three)];
  assert.equal(one.faces.length, 4);
  for (const [index, face] of one.faces.entries()) {
    const twin = other.faces[index];
    assert.ok(face.embedding && twin?.embedding && similarity(face.embedding, twin.embedding) > 0.999);
  }
});

test('steady points lie near the plain ones and move less when the box does', async (t) => {
  const store = await testStore(t);
  const { card } = await store.card('landmarks68');
  const finder = new PointFinder({ card, runner: await store.runner('landmarks68') });
  const { detector } = await openModels({ store });
  const image = await photo(5);
  const spread = { plain: 0, steady: 0 };
  for (const { box } of await detector.detect(image)) {
    for (const kind of ['plain', 'steady'] as const) {
      const steady = kind === 'steady';
      const there = (await finder.find(image, box, { steady })).contour;
      const moved = (await finder.find(image, shiftBox(box, 0.03, 0.03), { steady })).contour;
      for (const [at, value] of there.entries()) spread[kind] += Math.abs(value - (moved[at] ?? 0));
    }
    const [plain] = (await finder.find(image, box)).landmarks;
    const [steady] = (await finder.find(image, box, { steady: true })).landmarks;
    assert.ok(Math.hypot(plain.x - steady.x, plain.y - steady.y) < 0.05 * box.width);
  }
  assert.ok(spread.steady < spread.plain, `${spread.steady} and ${spread.plain}`);
});

test('liveness is a share between 0 and 1, also for a face at the edge', async (t) => {
  const { detector, liveness } = await openModels({
    store: await testStore(t),
    models: { liveness: 'minifasnet' },
  });
  const image = await photo(0);
  for (const face of await detector.detect(image)) {
    const score = await liveness?.score(image, face);
    assert.ok(score !== undefined && score >= 0 && score <= 1);
    const edge = {
      ...face,
      box: { ...face.box, x: -face.box.width / 2, y: image.height - face.box.height / 2 },
    };
    assert.ok(((await liveness?.score(image, edge)) ?? -1) >= 0);
  }
});

test('a model in the wrong role is refused', async (t) => {
  const store = await testStore(t);
  await assert.rejects(openModels({ store, models: { detector: 'minifasnet' } }), {
    code: 'model.mismatch',
    message: /is a liveness model/,
  });
});

test('an aborted start ends before the next model is loaded', async (t) => {
  const store = await testStore(t);
  await assert.rejects(openModels({ store, signal: AbortSignal.abort() }), { name: 'AbortError' });
  assert.deepEqual(store.loaded, []);
});

test('photographs of one person match, those of two do not', { skip: withoutData('lfw') }, async (t) => {
  const analyser = new ImageAnalyser(
    withoutLiveness(await openModels({ store: await testStore(t), detector: FOR_PICTURES })),
  );
  const lines = (await readFile(dataPath('lfw', 'pairs.txt'), 'utf8')).trim().split('\n');
  const chosen = [...lines.slice(0, 20), ...lines.slice(300, 320)].map((line) => line.split('\t'));
  const embed = async (name = '', number = '') => {
    const file = `${name}_${number.padStart(4, '0')}.jpg`;
    const image = await picture(dataPath('lfw', 'images', name, file));
    const { faces } = await analyser.analyse(image, { largestOnly: true, embedPoor: true });
    assert.equal(faces.length, 1);
    return faces[0]?.embedding;
  };
  let right = 0;
  for (const [name, first, third, fourth] of chosen) {
    const a = await embed(name, first);
    const b = fourth === undefined ? await embed(name, third) : await embed(third, fourth);
    assert.ok(a && b);
    if (similarity(a, b) > 0.27 === (fourth === undefined)) right++;
  }
  assert.ok(right >= 39, `${right} of 40`);
});

function withoutLiveness(models: Awaited<ReturnType<typeof openModels>>) {
  return { detector: models.detector, embedder: models.embedder };
}

/** Another picture of the same scene: darker, and taken by a worse camera. */
function degraded(image: Image): Image {
  const half = part(image, { x: 0, y: 0, width: image.width, height: image.height }, 0.4);
  const full = createImage(image.width, image.height, 'bgr24');
  resizeInto(half, full);
  for (let at = 0; at < full.data.length; at++) full.data[at] = (full.data[at] ?? 0) * 0.6;
  return full;
}
