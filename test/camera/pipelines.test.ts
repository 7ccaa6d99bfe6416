import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_BACKOFF, pauseBefore } from '../../src/camera/backoff.js';
import { boardOf, completePipeline, csiPipeline } from '../../src/camera/pipelines.js';

const MODE = { width: 1280, height: 720, fps: 15 };

test('the board by its device-tree model', () => {
  assert.equal(boardOf('Raspberry Pi 4 Model B Rev 1.4\0'), 'raspberry-pi');
  assert.equal(boardOf('NVIDIA Jetson Nano Developer Kit\0'), 'jetson');
  assert.equal(boardOf(''), 'other');
  assert.equal(boardOf('Radxa ROCK 5B'), 'other');
});

test('a CSI camera is a pipeline that ends in BGR and keeps the newest frame', () => {
  const sink = 'videoconvert ! video/x-raw,format=BGR ! appsink drop=true max-buffers=1 sync=false';
  assert.equal(
    csiPipeline('jetson', 1, MODE),
    'nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM),width=1280,height=720,framerate=15/1,format=NV12 ! ' +
      `nvvidconv ! video/x-raw,width=1280,height=720,format=BGRx ! ${sink}`,
  );
  assert.equal(
    csiPipeline('raspberry-pi', 0, MODE),
    `libcamerasrc ! video/x-raw,width=1280,height=720,framerate=15/1,format=NV12 ! ${sink}`,
  );
  assert.throws(() => csiPipeline('raspberry-pi', 1, MODE), {
    code: 'source.open-failed',
    fix: /camera-name/,
  });
  assert.throws(() => csiPipeline('other', 0, MODE), { code: 'source.open-failed' });
});

test("a user's pipeline gets a sink when it has none", () => {
  const sink = ' ! videoconvert ! video/x-raw,format=BGR ! appsink drop=true max-buffers=1 sync=false';
  assert.equal(completePipeline('videotestsrc'), `videotestsrc${sink}`);
  assert.equal(completePipeline('videotestsrc ! '), `videotestsrc${sink}`);
  assert.equal(completePipeline('a ! appsink sync=false'), 'a ! appsink sync=false');
  assert.throws(() => completePipeline('a ! appsink ! b'), { code: 'source.invalid' });
  assert.throws(() => completePipeline('a ! appsink b ! appsink'), { code: 'source.invalid' });
});

test('pauses double from one second to a minute, up to a quarter less by chance', () => {
  const pauses = [1, 2, 3, 6, 7, 8, 1000].map((failures) => pauseBefore(failures, DEFAULT_BACKOFF, 0));
  assert.deepEqual(pauses, [1000, 2000, 4000, 32_000, 60_000, 60_000, 60_000]);
  assert.equal(pauseBefore(1, DEFAULT_BACKOFF, 1), 750);
});
