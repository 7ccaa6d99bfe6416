import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { editorSchema, referencePage } from '../../src/config/docs.js';
import { leaves } from '../../src/config/env.js';
import { isSection, mapValues, SCHEMA, type SchemaNode } from '../../src/config/schema.js';
import { ROOT } from '../helpers/data.js';

const docs = join(ROOT, 'docs');

test('the reference page and the JSON Schema are up to date (npm run docs)', () => {
  assert.equal(readFileSync(join(docs, 'configuration.md'), 'utf8'), referencePage());
  assert.equal(readFileSync(join(docs, 'faced.schema.json'), 'utf8'), editorSchema());
});

test('the JSON Schema for editors accepts the examples and refuses a mistake', () => {
  const validate = new Ajv({ allowUnionTypes: true }).compile(JSON.parse(editorSchema()));
  for (const file of readdirSync(join(docs, 'examples')).filter((one) => one.endsWith('.yaml'))) {
    const data: unknown = parse(readFileSync(join(docs, 'examples', file), 'utf8'));
    assert.ok(validate(data), `${file}: ${JSON.stringify(validate.errors)}`);
  }
  assert.ok(validate({ mqtt: null }));
  assert.equal(validate({ mqtt: { urll: 'x' } }), false);
  assert.equal(validate({ cameras: { door: {} } }), false);
});

test('every setting has a description, a default and says whether it needs a restart', () => {
  const check = ({ path, node }: { path: readonly string[]; node: SchemaNode }) => {
    const name = path.join('.');
    assert.ok((node.description ?? '').length > 0, `${name} has no description`);
    assert.equal(typeof node.restart, 'boolean', `${name} does not say whether it needs a restart`);
    // What cannot be guessed: a camera's source, and what the lock of a door is.
    if (!['cameras.source', 'doors.lock.driver'].includes(name))
      assert.notEqual(node.default, undefined, `${name} has no default`);
    const values = mapValues(node);
    if (values !== undefined && isSection(values)) leaves(values, path).forEach(check);
  };
  leaves(SCHEMA).forEach(check);
});
