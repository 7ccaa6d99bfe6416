// For check-systemd.sh: how a camera is, by a health message on standard input.
//   node camera-state.mjs CAMERA open|back     open: pictures come; back: they come again, after an end
import { readFileSync } from 'node:fs';

const [name, wanted] = process.argv.slice(2);
const text = readFileSync(0, 'utf8');
const camera = text === '' ? undefined : JSON.parse(text).cameras.find(({ camera }) => camera === name);
const open = camera?.state === 'open' && camera.received > 0;
process.exit(open && (wanted === 'open' || camera.reopened > 0) ? 0 : 1);
