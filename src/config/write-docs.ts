/** `npm run docs`: writes the files in docs/ that are made from the schema. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { editorSchema, referencePage } from './docs.js';
import { ROOT } from './paths.js';

writeFileSync(join(ROOT, 'docs', 'configuration.md'), referencePage());
writeFileSync(join(ROOT, 'docs', 'faced.schema.json'), editorSchema());
