/**
 * Puts what tsc compiled into a few files: `node deploy/bundle.mjs` reads dist/src/ and writes dist/bundle/.
 * The daemon then opens ten files at its start instead of seven hundred, and keeps less of them in memory: a third of a
 * second and 10 MB here (docs/performance.md). What is imported lazily stays in files of its own.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');
const from = join(root, 'dist', 'src');
const to = join(root, 'dist', 'bundle');

/** What runs as a program, a thread or a process of its own; `entry()` in src/lib/program.ts finds them by these names. */
const ENTRIES = [
  'main',
  'vision-worker',
  'gallery/worker',
  'model-tools/bulk/prepare-worker',
  'model-tools/bulk/device-worker',
  'model-tools/memory-probe',
];
/** Addons, and what looks for files beside itself. */
const EXTERNAL = ['better-sqlite3', 'onnxruntime-node', 'protobufjs'];
/** What the page in dist/web/ is built with. */
const PAGE = ['node_modules/preact'];

/** The licences of the packages that the files were made of: they ask to go wherever the code goes. */
function licences(files) {
  const folder = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/;
  const packages = new Set([...PAGE, ...files.flatMap((file) => folder.exec(file)?.[0] ?? [])]);
  return [...packages].sort().map((path) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8'));
    const texts = readdirSync(join(root, path)).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file));
    const text = texts.map((file) => readFileSync(join(root, path, file), 'utf8').trim());
    return [`${name} ${version} (${license})`, ...text].join('\n\n');
  });
}

rmSync(to, { recursive: true, force: true });
const { metafile } = await build({
  absWorkingDir: root,
  metafile: true,
  entryPoints: ENTRIES.map((name) => join(from, `${name}.js`)),
  outdir: to,
  outbase: from,
  // src/lib/program.ts is shared by all and must stay in a folder called lib.
  chunkNames: 'lib/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  external: EXTERNAL,
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'linked',
  // CommonJS packages in an ES module still call require for what Node.js itself has.
  banner: {
    js: "import{createRequire as $require}from'node:module';const require=$require(import.meta.url);",
  },
  logLevel: 'warning',
});

const LINE = `\n\n${'-'.repeat(80)}\n\n`;
writeFileSync(join(to, 'LICENCES.txt'), `${licences(Object.keys(metafile.inputs)).join(LINE)}\n`);
