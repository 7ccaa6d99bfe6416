import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createImage, encodeJpeg } from '../../src/image/index.js';
import { native } from '../../src/image/native.js';

test('GDAL and GDCM are stood in for: sixty libraries and their decoders stay out of the process', () => {
  // The first picture makes OpenCV ask for all of its decoders.
  const jpeg = encodeJpeg(createImage(16, 16, 'bgr24'));
  assert.equal(native().decode(jpeg, 16, 16)?.data.length, 16 * 16 * 3);
  const files = new Set(readFileSync('/proc/self/maps', 'utf8').match(/\/\S+/g));
  assert.ok([...files].some((file) => file.includes('libopencv_imgcodecs')));
  const real = [...files].filter(
    (file) => /gdal|gdcm|poppler|libproj/.test(file) && !file.includes('/stand-ins/'),
  );
  assert.deepEqual(real, [], 'built anew with npm run build:native?');
});

test('a medical picture, which only GDCM could read, is refused and harms nothing', () => {
  const dicom = Buffer.alloc(4096);
  dicom.write('DICM', 128, 'latin1');
  assert.equal(native().decode(dicom, 16, 16), null);
});
