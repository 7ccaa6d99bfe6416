import { ulid } from 'ulid';
import { FacedError } from '../domain/errors.js';
import type { PersonRef } from '../domain/person.js';
import { findPerson } from '../pipeline/find-person.js';
import type { Store } from '../pipeline/ports.js';
import type { SecretBookFile } from './book-file.js';
import type { CredentialMethod } from './secrets.js';

/** A code, badge or QR text as it may be shown: without the secret, and without its digest. */
export interface KeyInfo {
  readonly id: string;
  readonly person: string;
  readonly method: CredentialMethod;
}

/** Who has which codes, badges and QR texts; each change is in the audit, or is not made. */
export class DoorKeys {
  readonly #secrets: SecretBookFile;
  readonly #store: Pick<Store, 'people' | 'audit'>;

  constructor(secrets: SecretBookFile, store: Pick<Store, 'people' | 'audit'>) {
    this.#secrets = secrets;
    this.#store = store;
  }

  /** @throws FacedError `door.secret-refused`, `gallery.not-found` */
  async add(key: {
    person: string;
    method: CredentialMethod;
    secret: string;
    actor: string;
  }): Promise<{ person: PersonRef; key: KeyInfo }> {
    const { method, secret, actor } = key;
    const { id, name } = await this.#find(key.person);
    const info = { id: ulid(), person: id, method };
    await this.#secrets.add({ ...info, secret }, () =>
      this.#store.audit({ kind: 'door.key-added', actor, detail: info }),
    );
    return { person: { id, name }, key: info };
  }

  /** Takes all of somebody's away. */
  async remove({ person, actor }: { person: string; actor: string }): Promise<{ removed: number }> {
    const { id } = await this.#find(person);
    const removed = this.#secrets.list().filter((one) => one.person === id).length;
    await this.#store.audit({ kind: 'door.keys-removed', actor, detail: { person: id, count: removed } });
    await this.#secrets.removePerson(id);
    return { removed };
  }

  async list(): Promise<KeyInfo[]> {
    return this.#secrets.list();
  }

  async #find(idOrName: string): Promise<PersonRef> {
    const person = findPerson(await this.#store.people(), idOrName);
    if (person !== undefined) return person;
    throw new FacedError('gallery.not-found', 'nobody has this id or name', {
      fix: 'faced people list shows who is there',
    });
  }
}
