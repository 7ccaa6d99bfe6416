import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emptyBook, SecretBook } from '../../src/door/secrets.js';

test('a secret names its person, by its own method only, and is stored as a digest', async () => {
  const book = new SecretBook(emptyBook());
  await book.add({ id: '1', person: 'anna', method: 'code', secret: '472913' });
  await book.add({ id: '2', person: 'ben', method: 'badge', secret: '001:4729' });
  assert.equal(await book.personOf('code', '472913'), 'anna');
  assert.equal(await book.personOf('badge', '001:4729'), 'ben');
  assert.equal(await book.personOf('badge', '472913'), null);
  assert.equal(await book.personOf('code', '472914'), null);
  assert.equal(await book.personOf('code', ''), null);
  assert.ok(!JSON.stringify(book.book).includes('472913'));
});

test('full-width digits of a foreign keyboard are the same code', async () => {
  const book = new SecretBook(emptyBook());
  await book.add({ id: '1', person: 'anna', method: 'code', secret: '4729' });
  assert.equal(await book.personOf('code', '４７２９'), 'anna');
});

test('a secret that is taken, too short or too long is refused, two at the same moment as well', async () => {
  const book = new SecretBook(emptyBook());
  const add = (person: string, secret: string) => book.add({ id: person, person, method: 'code', secret });
  const results = await Promise.allSettled([add('anna', '472913'), add('ben', '472913')]);
  assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  await assert.rejects(add('carl', '123'), { code: 'door.secret-refused' });
  await assert.rejects(add('carl', '1'.repeat(300)), { code: 'door.secret-refused' });
});

test('what belonged to a person that is removed opens nothing any more', async () => {
  const book = new SecretBook(emptyBook());
  await book.add({ id: '1', person: 'anna', method: 'code', secret: '472913' });
  book.removePerson('anna');
  assert.equal(await book.personOf('code', '472913'), null);
});
