import type { Person } from '../domain/person.js';

/** By id, else by exact name (after NFC and trimming), as people are named by whoever asks for one. */
export function findPerson(people: readonly Person[], idOrName: string): Person | undefined {
  const name = idOrName.normalize('NFC').trim();
  return people.find(({ id }) => id === idOrName) ?? people.find((one) => one.name === name);
}
