import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { FacedError } from '../../src/domain/errors.js';
import { createImage, decode, encodeJpeg } from '../../src/image/index.js';
import { at, paint } from '../helpers/pictures.js';
import { bmp, cmykJpeg, gif, png, tiff, withOrientation } from './encoded.js';

const RED = [255, 0, 0];
const GREEN = [0, 255, 0];
const BLUE = [0, 0, 255];
const WHITE = [255, 255, 255];
/** 2x2 in RGB: red, green above blue, white. */
const FOUR = [RED, GREEN, BLUE, WHITE];
/** The same as decode() gives it: BGR, bytes. */
const FOUR_BGR = [0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255, 255];

const codeOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    if (error instanceof FacedError) return error.code;
    throw error;
  }
  return 'none';
};

test('every kind of file becomes the same BGR pixels', () => {
  const opaque = FOUR.flatMap((rgb) => [...rgb, 255]);
  const kinds: Record<string, Uint8Array> = {
    'PNG, RGB': png({ width: 2, height: 2, type: 2, depth: 8, samples: FOUR.flat() }),
    'PNG, alpha': png({ width: 2, height: 2, type: 6, depth: 8, samples: opaque }),
    'PNG, 16 bit': png({ width: 2, height: 2, type: 2, depth: 16, samples: FOUR.flat().map((v) => v * 257) }),
    BMP: bmp(2, 2, FOUR),
    TIFF: tiff(2, 2, FOUR),
    GIF: gif(2, 2, FOUR, [{ x: 0, y: 0, width: 2, height: 2, indices: [0, 1, 2, 3] }]),
  };
  for (const [kind, bytes] of Object.entries(kinds)) {
    const image = decode(bytes);
    assert.deepEqual([image.width, image.height, image.format], [2, 2, 'bgr24'], kind);
    assert.deepEqual([...image.data], FOUR_BGR, kind);
  }
});

test('WebP: one pixel, lossy', () => {
  const bytes = Buffer.from('UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA', 'base64');
  const image = decode(bytes);
  assert.deepEqual([image.width, image.height, image.data.length], [1, 1, 3]);
});

test('grey pictures have three equal channels', () => {
  const samples = [0, 100, 200, 255];
  const expected = samples.flatMap((v) => [v, v, v]);
  assert.deepEqual([...decode(png({ width: 2, height: 2, type: 0, depth: 8, samples })).data], expected);
  const grey = { ...createImage(16, 16, 'gray8'), data: new Uint8Array(256).fill(77) };
  assert.deepEqual(at(decode(encodeJpeg(grey, 95)), 8, 8), [77, 77, 77]);
});

test('CMYK as Adobe writes it', () => {
  const cases = [
    { inverted: [255, 0, 0, 255], bgr: [0, 0, 255] },
    { inverted: [0, 255, 0, 255], bgr: [0, 255, 0] },
    { inverted: [255, 255, 255, 255], bgr: [255, 255, 255] },
    { inverted: [255, 255, 255, 0], bgr: [0, 0, 0] },
  ] as const;
  for (const { inverted, bgr } of cases) {
    const image = decode(cmykJpeg(inverted));
    const got = at(image, 4, 4);
    for (const channel of [0, 1, 2]) {
      assert.ok(Math.abs((got[channel] ?? 0) - (bgr[channel] ?? 0)) <= 3, `${inverted}: ${got} for ${bgr}`);
    }
  }
});

test('EXIF orientation: the dark corner goes where the standard says', () => {
  // 32x16, white, dark in the stored top left corner.
  const stored = encodeJpeg(
    paint(32, 16, (x, y) => (x < 8 && y < 8 ? [0, 0, 0] : [255, 255, 255])),
    95,
  );
  // Orientation: where the stored top left corner is seen (CIPA DC-008, table of Orientation).
  const corner: Record<number, [number, number, number, number]> = {
    1: [32, 16, 0, 0],
    2: [32, 16, 1, 0],
    3: [32, 16, 1, 1],
    4: [32, 16, 0, 1],
    5: [16, 32, 0, 0],
    6: [16, 32, 1, 0],
    7: [16, 32, 1, 1],
    8: [16, 32, 0, 1],
  };
  for (const [orientation, [width, height, right, bottom]] of Object.entries(corner)) {
    const image = decode(withOrientation(stored, Number(orientation)));
    assert.deepEqual([image.width, image.height], [width, height], orientation);
    for (const [x, y] of [
      [0, 0],
      [1, 0],
      [0, 1],
      [1, 1],
    ] as const) {
      const [blue = -1] = at(image, x * (width - 5) + 2, y * (height - 5) + 2);
      assert.equal(
        blue < 128,
        x === right && y === bottom,
        `orientation ${orientation}, corner ${x},${y}: ${blue}`,
      );
    }
  }
});

test('an animated GIF gives its first frame; what it leaves open is white', () => {
  const first = { x: 1, y: 0, width: 1, height: 2, indices: [0, 1], transparent: 1 };
  const second = { x: 0, y: 0, width: 2, height: 2, indices: [2, 2, 2, 2] };
  assert.deepEqual(
    [...decode(gif(2, 2, FOUR, [first, second])).data],
    [...[255, 255, 255, 0, 0, 255], ...[255, 255, 255, 255, 255, 255]],
  );
});

test('a GIF whose dictionary grows past 4096 strings, and an interlaced one', () => {
  const palette = Array.from({ length: 256 }, (_, index) => [index, 255 - index, (index * 7) % 256]);
  const indices = Array.from({ length: 200 * 150 }, (_, index) => (index * index * 31 + (index >> 3)) % 256);
  const image = decode(gif(200, 150, palette, [{ x: 0, y: 0, width: 200, height: 150, indices }]));
  assert.deepEqual(
    [...image.data],
    indices.flatMap((index) => [...(palette[index] ?? [])].reverse()),
  );
  // Rows of an interlaced frame of 8 are stored as 0, 4, 2, 6, 1, 3, 5, 7.
  const rows = [0, 4, 2, 6, 1, 3, 5, 7];
  const interlaced = decode(
    gif(1, 8, palette, [{ x: 0, y: 0, width: 1, height: 8, indices: rows, interlaced: true }]),
  );
  assert.deepEqual(
    [...interlaced.data].filter((_, index) => index % 3 === 2),
    [0, 1, 2, 3, 4, 5, 6, 7],
  );
});

test('too large is refused by the header alone, before anything is decoded', () => {
  const whole = png({ width: 2, height: 2, type: 2, depth: 8, samples: FOUR.flat() });
  const huge = Uint8Array.from(whole);
  new DataView(huge.buffer).setUint32(16, 10_000);
  new DataView(huge.buffer).setUint32(20, 10_000);
  assert.throws(
    () => decode(huge),
    (error) =>
      error instanceof FacedError && error.code === 'image.too-large' && /100\.0 mega/.test(error.message),
  );
  const jpeg = encodeJpeg(createImage(64, 48, 'bgr24'));
  assert.equal(
    codeOf(() => decode(jpeg, { maxPixels: 64 * 48 - 1 })),
    'image.too-large',
  );
  assert.equal(
    codeOf(() => decode(jpeg, { maxPixels: 64 * 48 })),
    'none',
  );
  assert.equal(
    codeOf(() => decode(jpeg, { maxBytes: jpeg.length - 1 })),
    'image.too-large',
  );
});

test('what is no picture, or half of one, is unreadable', () => {
  const noise = Uint8Array.from({ length: 4096 }, (_, index) => (index * index * 2654435761) >>> 24);
  const jpeg = encodeJpeg(paint(64, 64, (x, y) => [(x * y) % 256, x * 3, y * 3]));
  const bad: Record<string, Uint8Array> = {
    empty: new Uint8Array(0),
    'one byte': Uint8Array.of(0xff),
    noise,
    text: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'),
    'half a JPEG': jpeg.subarray(0, jpeg.length >> 1),
    'JPEG without its last bytes': jpeg.subarray(0, jpeg.length - 2),
    "a JPEG's first marker": Uint8Array.of(0xff, 0xd8, 0xff),
    'half a PNG': png({ width: 2, height: 2, type: 2, depth: 8, samples: FOUR.flat() }).subarray(0, 50),
    'half a GIF': gif(2, 2, FOUR, [{ x: 0, y: 0, width: 2, height: 2, indices: [0, 1, 2, 3] }]).subarray(
      0,
      44,
    ),
    'half a BMP': bmp(2, 2, FOUR).subarray(0, 30),
    'half a TIFF': tiff(2, 2, FOUR).subarray(0, 24),
    'GIF frame outside its screen': gif(2, 2, FOUR, [
      { x: 1, y: 0, width: 2, height: 2, indices: [0, 1, 2, 3] },
    ]),
    'PNG of no width': png({ width: 0, height: 2, type: 2, depth: 8, samples: [] }),
  };
  for (const [what, bytes] of Object.entries(bad))
    assert.equal(
      codeOf(() => decode(bytes)),
      'image.unreadable',
      what,
    );
});

test('padding after the end of a JPEG does not matter', () => {
  const jpeg = encodeJpeg(createImage(16, 16, 'bgr24'));
  const padded = new Uint8Array(jpeg.length + 10_000);
  padded.set(jpeg);
  assert.equal(decode(padded).width, 16);
});

test('damaged bytes give a picture or image.unreadable, nothing else', () => {
  const whole = [
    encodeJpeg(paint(40, 30, (x, y) => [x * 6, y * 8, (x * y) % 256])),
    png({ width: 2, height: 2, type: 2, depth: 8, samples: FOUR.flat() }),
    gif(2, 2, FOUR, [{ x: 0, y: 0, width: 2, height: 2, indices: [0, 1, 2, 3] }]),
    bmp(2, 2, FOUR),
    tiff(2, 2, FOUR),
    cmykJpeg([255, 0, 0, 255]),
  ];
  let seed = 1;
  const random = () => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return seed / 2 ** 32;
  };
  const outcomes: Record<string, number> = {};
  for (const bytes of whole) {
    for (let round = 0; round < 150; round++) {
      const damaged = Uint8Array.from(bytes);
      for (let flips = 0; flips < 3; flips++) {
        damaged[Math.floor(random() * damaged.length)] = Math.floor(random() * 256);
      }
      const code = codeOf(() => decode(damaged, { maxPixels: 1_000_000 }));
      outcomes[code] = (outcomes[code] ?? 0) + 1;
    }
  }
  const allowed = new Set(['none', 'image.unreadable', 'image.too-large']);
  assert.deepEqual(
    Object.keys(outcomes).filter((code) => !allowed.has(code)),
    [],
  );
  assert.ok((outcomes.none ?? 0) > 0 && (outcomes['image.unreadable'] ?? 0) > 0, JSON.stringify(outcomes));
});

test('damaged pictures write nothing to standard error, and it works afterwards', () => {
  const damaged = png({ width: 2, height: 2, type: 2, depth: 8, samples: FOUR.flat() });
  damaged[45] = 0;
  const files = [damaged, bmp(2, 2, FOUR).subarray(0, 60), withOrientation(cmykJpeg([255, 0, 0, 255]), 9)];
  const script = `
    const { decode } = await import(${JSON.stringify(new URL('../../src/image/index.js', import.meta.url))});
    for (const text of ${JSON.stringify(files.map((bytes) => Buffer.from(bytes).toString('base64')))}) {
      try { decode(Buffer.from(text, 'base64')); } catch (error) { console.log(error.code); }
    }
    console.error('still here');`;
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.equal(run.stdout, 'image.unreadable\nimage.unreadable\n');
  assert.equal(run.stderr, 'still here\n');
});
