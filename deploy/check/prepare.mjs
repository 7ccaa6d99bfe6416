// For check-arm64.sh, on the machine that checks: pictures, a clip's frames, and what this processor answers in FP32.
//   node prepare.mjs DIR     DIR/faces/*.jpg, DIR/enroll/*.jpg, DIR/pictures/*.jpg, DIR/clip/*.jpg, DIR/crops.json
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { demoPortraits } from '../../dist/src/camera/demo.js';
import { createImage, decode, encodeJpeg, resizeInto } from '../../dist/src/image/index.js';
import { ModelStore, modelsDir } from '../../dist/src/inference/index.js';
import { createSession } from '../../dist/src/inference/raw-session.js';
import { openStages, PictureReader } from '../../dist/src/model-tools/faces.js';
import { feedOf } from '../../dist/src/model-tools/feed.js';

const out = process.argv[2];
const photographs = join(modelsDir(), 'demo');
for (const name of ['faces', 'enroll', 'pictures', 'clip']) mkdirSync(join(out, name), { recursive: true });

function cut(image, { x, y, width, height }, size) {
  const target = createImage(size, size, 'bgr24');
  const side = Math.max(width, height) * 1.8;
  const roi = { x: x + width / 2 - side / 2, y: y + height / 2 - side / 2, width: side, height: side };
  resizeInto(image, target, { roi });
  return encodeJpeg(target, 95);
}

const store = new ModelStore({ dir: modelsDir(), variants: false });
const reader = new PictureReader(await openStages(store));
const { card, path } = await store.card('mobilefacenet');
const session = await createSession(path);
const crops = [];
for (const name of readdirSync(photographs)
  .filter((one) => one.endsWith('.jpg'))
  .sort()) {
  const image = decode(readFileSync(join(photographs, name)));
  const { faces } = await reader.read(join(photographs, name));
  for (const [index, face] of faces.entries()) {
    const file = join(out, 'faces', `${name.replace('.jpg', '')}-${index}.jpg`);
    writeFileSync(file, cut(image, face.box, 320));
    const { largest } = await reader.read(file);
    if (largest === null) continue;
    const [answer] = Object.values(await session.run(feedOf(session, card, largest.crop)));
    const embedding = Buffer.from(answer.data.buffer, answer.data.byteOffset, answer.data.byteLength);
    crops.push({
      crop: Buffer.from(largest.crop).toString('base64'),
      embedding: embedding.toString('base64'),
    });
  }
}
writeFileSync(join(out, 'crops.json'), JSON.stringify(crops));

// One person to be known, one who is not; the known one again as a clip in which she moves.
const [known, stranger] = demoPortraits(photographs);
writeFileSync(join(out, 'enroll', 'known.jpg'), known.jpeg);
const face = decode(known.jpeg);
const smaller = createImage(Math.round(face.width * 0.8), Math.round(face.height * 0.8), 'bgr24');
resizeInto(face, smaller);
writeFileSync(join(out, 'pictures', 'known.jpg'), encodeJpeg(smaller, 85));
writeFileSync(join(out, 'pictures', 'stranger.jpg'), stranger.jpeg);
for (let index = 0; index < 12; index++) {
  const frame = createImage(640, 480, 'bgr24');
  const height = face.height * 0.9 - index * 2;
  resizeInto(face, frame, { roi: { x: -0.2 * face.width, y: index, width: (height * 4) / 3, height } });
  writeFileSync(join(out, 'clip', `${String(index).padStart(3, '0')}.jpg`), encodeJpeg(frame, 95));
}
console.log(`${crops.length} faces`);
