// For check-systemd.sh, on the machine that checks: the demo's film as pictures, and its people.
//   node door-clip.mjs DIR     DIR/0000.jpg and so on, 15 a second; DIR/Ada.jpg, DIR/Bea.jpg
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DemoSource, demoPortraits } from '../../dist/src/camera/demo.js';
import { encodeJpeg } from '../../dist/src/image/index.js';
import { modelsDir } from '../../dist/src/inference/index.js';

const out = process.argv[2];
const photographs = join(modelsDir(), 'demo');
mkdirSync(out, { recursive: true });
for (const { name, jpeg } of demoPortraits(photographs)) writeFileSync(join(out, `${name}.jpg`), jpeg);

// Its time passes as fast as the pictures are made.
let now = 0;
const clock = { monotonic: () => now, wall: () => now };
const pause = async (ms) => {
  now += ms;
};
const source = new DemoSource({ camera: 'door', photographs, loop: false }, { clock, pause });
await source.start(new AbortController().signal);
let count = 0;
for (let frame = await source.next(); frame !== null; frame = await source.next())
  writeFileSync(join(out, `${String(count++).padStart(4, '0')}.jpg`), encodeJpeg(frame, 90));
console.log(`${count} pictures`);
