import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Ajv } from 'ajv';
import formats from 'ajv-formats';
import { CATALOGUE, EXAMPLE_EVENT } from '../../src/mqtt/catalogue.js';
import { BEGIN, END, renderReference, verificationExample } from '../../src/mqtt/reference.js';
import { RECOGNITION_MATCHES_DOMAIN, RecognitionSchema } from '../../src/mqtt/schemas.js';
import { SUFFIXES } from '../../src/mqtt/topics.js';
import { ROOT } from '../helpers/data.js';

const PAGE = join(ROOT, 'docs', 'mqtt.md');
const ajv = new Ajv({ strict: true, allErrors: true });
formats.default(ajv);

test('every topic is in the catalogue once', () => {
  assert.deepEqual(CATALOGUE.map(({ suffix }) => suffix).sort(), Object.values(SUFFIXES).sort());
  assert.equal(RECOGNITION_MATCHES_DOMAIN, true);
});

for (const { suffix, schema, examples } of CATALOGUE) {
  if (schema === null) continue;
  test(`the examples of ${suffix} fit its schema, and a field of the wrong type does not`, () => {
    const valid = ajv.compile(schema);
    assert.ok(examples.length > 0);
    for (const example of examples) {
      assert.ok(valid(example), ajv.errorsText(valid.errors));
      if (typeof example !== 'object' || example === null) continue;
      for (const name of Object.keys(example)) {
        assert.equal(valid({ ...example, [name]: { wrong: true } }), false, `${name} takes anything`);
      }
    }
    assert.equal(valid(null), false);
    assert.equal(valid('neither'), false);
  });
}

test('the example event has every field of its schema', () => {
  assert.deepEqual(
    Object.keys({ ...EXAMPLE_EVENT, sig: '' }).sort(),
    Object.keys(RecognitionSchema.properties).sort(),
  );
});

test('docs/mqtt.md says what the code says', () => {
  const page = readFileSync(PAGE, 'utf8');
  const [before, rest] = page.split(BEGIN);
  const [old, after] = (rest ?? '').split(END);
  assert.ok(before !== undefined && old !== undefined && after !== undefined, 'the markers are missing');
  const fresh = `\n\n${renderReference()}\n`;
  if (process.env.FACED_UPDATE_DOCS === '1') writeFileSync(PAGE, `${before}${BEGIN}${fresh}${END}${after}`);
  else assert.equal(old, fresh, 'run the tests once with FACED_UPDATE_DOCS=1 and look at the difference');
  assert.ok(page.includes(verificationExample.trimEnd()), 'the verification example is another one');
});
