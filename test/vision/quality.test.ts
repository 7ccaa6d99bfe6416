import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Face, FaceQuality, FivePoints } from '../../src/domain/face.js';
import { measureCrop, poorReason, poseOf, qualityOf, scoreOf } from '../../src/vision/quality.js';
import { ARCFACE_POINTS } from '../../src/vision/transform.js';

/** A head of the model's own shape (eyes 1 apart) turned by yaw, pitch and roll and seen from far away. */
function head(yaw: number, pitch: number, roll: number): FivePoints {
  const [ry, rp, rr] = [yaw, pitch, roll].map((degrees) => (degrees * Math.PI) / 180) as [
    number,
    number,
    number,
  ];
  const see = (x: number, y: number, z: number) => {
    // Turned to the picture's right, then up (away from y, which points down), then clockwise.
    const [x1, z1] = [x * Math.cos(ry) + z * Math.sin(ry), z * Math.cos(ry) - x * Math.sin(ry)];
    const y2 = y * Math.cos(rp) - z1 * Math.sin(rp);
    return {
      x: 100 + 50 * (x1 * Math.cos(rr) - y2 * Math.sin(rr)),
      y: 100 + 50 * (x1 * Math.sin(rr) + y2 * Math.cos(rr)),
    };
  };
  return [
    see(-0.5, 0, 0),
    see(0.5, 0, 0),
    see(0, 1.155 * 0.494, 0.42),
    see(-0.4, 1.155, 0),
    see(0.4, 1.155, 0),
  ];
}

test('pose from five points of heads that are turned about one axis', () => {
  for (const degrees of [-60, -30, -10, 0, 10, 30, 60]) {
    const yaw = poseOf(head(degrees, 0, 0));
    assert.ok(Math.abs(yaw.yaw - degrees) < 0.01 && Math.abs(yaw.pitch) < 0.01, `yaw ${degrees}: ${yaw.yaw}`);
    const pitch = poseOf(head(0, degrees / 2, 0));
    assert.ok(
      Math.abs(pitch.pitch - degrees / 2) < 0.01 && Math.abs(pitch.yaw) < 0.01,
      `pitch ${degrees / 2}`,
    );
    const roll = poseOf(head(0, 0, degrees));
    assert.ok(Math.abs(roll.roll - degrees) < 0.01 && Math.abs(roll.yaw) < 0.01, `roll ${degrees}`);
  }
});

test('the reference of alignment is a frontal, level head', () => {
  const { yaw, pitch, roll } = poseOf(ARCFACE_POINTS);
  assert.ok(Math.abs(yaw) < 3 && Math.abs(pitch) < 3 && Math.abs(roll) < 1);
});

test('eyes that coincide are a head seen from the side, not a division by zero', () => {
  const point = { x: 5, y: 5 };
  assert.deepEqual(poseOf([point, point, point, point, point]), { yaw: 90, pitch: 0, roll: 0 });
});

test('sharpness and brightness by hand', () => {
  // A single bright pixel of 100 in the middle of 5x5 black ones: the 3x3 inner Laplacians are -400, four times 100, four times 0.
  const crop = new Uint8Array(5 * 5 * 3);
  crop.fill(100, (2 * 5 + 2) * 3, (2 * 5 + 2) * 3 + 3);
  const { sharpness, brightness } = measureCrop(crop, 5);
  assert.ok(Math.abs(sharpness - (400 ** 2 + 4 * 100 ** 2) / 9) < 0.1);
  assert.ok(Math.abs(brightness - 4) < 1e-4);
  assert.equal(measureCrop(new Uint8Array(75).fill(77), 5).sharpness < 1e-6, true);
});

const good: Omit<FaceQuality, 'score'> = {
  size: 120,
  sharpness: 300,
  yaw: 0,
  pitch: 0,
  roll: 0,
  brightness: 120,
};

test('the score is 1 for a good shot and falls with each fault', () => {
  assert.equal(scoreOf(good), 1);
  for (const fault of [
    { size: 40 },
    { sharpness: 20 },
    { yaw: -40 },
    { pitch: 45 },
    { brightness: 30 },
    { brightness: 240 },
  ]) {
    const score = scoreOf({ ...good, ...fault });
    assert.ok(score > 0 && score < 0.9, `${JSON.stringify(fault)}: ${score}`);
  }
  assert.equal(scoreOf({ ...good, size: 5 }), 0);
});

test('each reason to refuse a shot', () => {
  const frame = { width: 640, height: 480 };
  const face: Face = { box: { x: 50, y: 50, width: 100, height: 120 }, landmarks: head(0, 0, 0), score: 1 };
  const quality: FaceQuality = { ...good, score: 1 };
  const reason = (change: Partial<FaceQuality>) => poorReason(face, { ...quality, ...change }, frame);
  assert.equal(reason({}), null);
  assert.equal(reason({ size: 20 }), 'too-small');
  assert.equal(reason({ brightness: 5 }), 'too-dark');
  assert.equal(reason({ brightness: 252 }), 'too-bright');
  assert.equal(reason({ yaw: -75 }), 'turned-away');
  assert.equal(reason({ pitch: 65 }), 'turned-away');
  assert.equal(reason({ sharpness: 1 }), 'too-blurred');
  // The right eye is at 125, the left one at 75; 0.11 of the face's width is 11.
  assert.equal(poorReason(face, quality, { width: 135, height: 480 }), 'cut-off');
  assert.equal(poorReason(face, quality, { width: 137, height: 480 }), null);
});

test('quality of a crop takes its size from the shorter side of the box', () => {
  const face: Face = { box: { x: 0, y: 0, width: 80, height: 120 }, landmarks: ARCFACE_POINTS, score: 1 };
  const quality = qualityOf(face, new Uint8Array(112 * 112 * 3).fill(90));
  assert.equal(quality.size, 80);
  assert.ok(Math.abs(quality.brightness - 90) < 1e-3);
  assert.equal(quality.score, 0, 'a flat crop shows nothing');
});
