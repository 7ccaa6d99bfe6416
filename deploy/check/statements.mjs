// `node statements.mjs APP`: statements of the package in APP are collected as garbage, and its Node.js lives on.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const Database = createRequire(join(process.argv[2], 'package.json'))('better-sqlite3');
const db = new Database(':memory:');
let kept;
for (let round = 0; round < 20; round++) {
  for (let i = 0; i < 100; i++) db.prepare(`SELECT ${i}`).get();
  kept = Array.from({ length: 60_000 }, () => ({ round }));
  await wait(10);
}
db.close();
console.log(`statements come and go (Node.js ${process.version}, ${kept.length} objects)`);
