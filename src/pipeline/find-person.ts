import { FacedError } from '../domain/errors.js';
import type { Person } from '../domain/person.js';

/** By id, else by exact name (after NFC and trimming), as people are named by whoever asks for one. */
export function findPerson(people: readonly Person[], idOrName: string): Person | undefined {
  const name = idOrName.normalize('NFC').trim();
  return people.find(({ id }) => id === idOrName) ?? people.find((one) => one.name === name);
}

/** @throws FacedError `gallery.not-found` */
export function mustFind(people: readonly Person[], idOrName: string): Person {
  const person = findPerson(people, idOrName);
  if (person !== undefined) return person;
  throw new FacedError('gallery.not-found', 'nobody has this id or name', {
    fix: 'faced people list shows who is there',
  });
}
