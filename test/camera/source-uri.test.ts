import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  parseSource,
  redactSource,
  SOURCE_FORMS,
  smallerMode,
  withFrame,
} from '../../src/camera/source-uri.js';
import { FacedError } from '../../src/domain/errors.js';

const MODE = { width: 640, height: 480, fps: 15 };

test('every form of a source', () => {
  const cases: readonly [string, object][] = [
    ['v4l2:/dev/video0', { kind: 'v4l2', device: '/dev/video0', mode: MODE }],
    [
      'v4l2:/dev/video2?width=1280&height=720&fps=30&format=MJPG',
      { kind: 'v4l2', device: '/dev/video2', mode: { width: 1280, height: 720, fps: 30 }, fourcc: 'MJPG' },
    ],
    ['csi:1?fps=30', { kind: 'csi', index: 1, mode: { ...MODE, fps: 30 } }],
    ['rtsp://u:p@cam/s?x=1', { kind: 'rtsp', uri: 'rtsp://u:p@cam/s?x=1' }],
    ['rtsps://cam:322/s', { kind: 'rtsp', uri: 'rtsps://cam:322/s' }],
    ['file:/a/b.avi', { kind: 'file', path: '/a/b.avi', pace: 'fast' }],
    ['file:b.avi?pace=real', { kind: 'file', path: 'b.avi', pace: 'real' }],
    ['file:who?.avi', { kind: 'file', path: 'who?.avi', pace: 'fast' }],
    ['images:some folder', { kind: 'images', folder: 'some folder' }],
    ['gstreamer: videotestsrc ! x', { kind: 'gstreamer', pipeline: 'videotestsrc ! x' }],
    ['demo', { kind: 'demo', loop: false }],
    ['demo?loop=yes', { kind: 'demo', loop: true }],
  ];
  for (const [source, expected] of cases) assert.deepEqual(parseSource(source), expected, source);
  for (const forms of SOURCE_FORMS) {
    for (const form of forms.split(', ')) assert.ok(parseSource(form), form);
  }
});

test('a wrong source says why, and lists the valid forms', () => {
  const cases: readonly [string, RegExp][] = [
    ['', /its beginning is none/],
    ['http://cam/stream', /its beginning is none/],
    ['v4l2:video0', /path under \/dev/],
    ['v4l2:/dev/video0?witdh=640', /witdh is not one of width, height, fps, format/],
    ['v4l2:/dev/video0?width=1e9', /width must be a whole number from 16 to 8192 \(is 1e9\)/],
    ['v4l2:/dev/video0?fps=0', /fps must be a whole number from 1 to 240/],
    ['v4l2:/dev/video0?format=mjpeg', /four capital letters/],
    ['csi:', /number from 0 to 9/],
    ['csi:front', /number from 0 to 9/],
    ['rtsp:///stream', /host is missing/],
    ['file:', /path is missing/],
    ['file:a.avi?pace=slow', /pace must be fast or real \(is slow\)/],
    ['file:a.avi?pase=real', /pase is not one of pace/],
    ['images', /folder is missing/],
    ['gstreamer:  ', /pipeline is missing/],
    ['demonstration', /its beginning is none/],
    ['demo:x', /nothing but/],
    ['demo?loop=1', /loop must be yes or no/],
  ];
  for (const [source, message] of cases) {
    assert.throws(
      () => parseSource(source),
      (error) =>
        error instanceof FacedError &&
        error.code === 'source.invalid' &&
        message.test(error.message) &&
        SOURCE_FORMS.every((form) => error.fix?.includes(form)),
      source,
    );
  }
});

test('passwords are never shown', () => {
  const secrets = [
    'rtsp://user:hunter2@cam/s',
    'rtsp://user:hunt@er2@cam/s',
    'gstreamer:rtspsrc location=x user-pw=hunter2 ! appsink',
    'rtsp://user:hunter2@',
  ];
  for (const source of secrets) assert.doesNotMatch(redactSource(source), /hunt|er2/, source);
  assert.equal(redactSource('rtsp://cam/s'), 'rtsp://cam/s');
  assert.throws(
    () => parseSource('rtsps//user:hunter2@cam'),
    (error) => error instanceof FacedError && !error.message.includes('hunter2'),
  );
});

test('a camera on a wire that names no size is asked for the one that suits the board', () => {
  const frame = { width: 1280, height: 720 };
  const cases: readonly (readonly [string, string])[] = [
    ['csi:0', 'csi:0?width=1280&height=720'],
    ['v4l2:/dev/video0?fps=30', 'v4l2:/dev/video0?fps=30&width=1280&height=720'],
    ['v4l2:/dev/video0?width=800&height=600', 'v4l2:/dev/video0?width=800&height=600'],
    ['rtsp://door/live', 'rtsp://door/live'],
    ['demo', 'demo'],
  ];
  for (const [source, asked] of cases) {
    assert.equal(withFrame(source, frame), asked);
    parseSource(asked);
  }
});

test('half a frame is what a hot machine asks for, unless faces could not be found in it', () => {
  const half = (width: number, height: number) => smallerMode({ width, height, fps: 15 });
  assert.deepEqual(half(640, 480), { width: 320, height: 240, fps: 15 });
  assert.deepEqual(half(1280, 720), { width: 640, height: 360, fps: 15 });
  assert.deepEqual(half(1366, 768), { width: 684, height: 384, fps: 15 });
  assert.equal(half(320, 240), null);
  assert.equal(half(640, 400), null);
});
