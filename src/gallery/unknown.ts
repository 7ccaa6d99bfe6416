import { monotonicFactory } from 'ulid';
import type { FaceQuality } from '../domain/face.js';
import type { UnknownGroup } from '../domain/person.js';
import type { NewUnknownFace, UnknownFace } from '../pipeline/ports.js';
import type { Db } from './database.js';
import { emptyLog, forGood } from './for-good.js';
import type { Sealer } from './seal.js';
import { VectorIndex } from './vector-index.js';

interface Row {
  readonly id: string;
  readonly group_id: string;
  readonly space: string;
  readonly vector: Buffer;
  readonly about: Buffer;
  readonly image: Buffer | null;
  readonly expires_at: number;
}

/** Whose faces are meant. */
export type UnknownChoice =
  | { readonly groups: readonly string[] }
  | { readonly tracks: readonly string[] }
  | 'all';

interface About {
  readonly camera: string;
  readonly track: string;
  readonly seenAt: number;
  readonly quality: FaceQuality;
}

interface Kept extends About {
  readonly id: string;
  readonly group: string;
  readonly space: string;
  readonly expiresAt: number;
}

/**
 * Faces of strangers that are kept for a while, when the owner asked for it. They are grouped as they come: a face
 * joins the group of its track, else the group with the nearest face of its own space, when that is near enough.
 */
export class UnknownFaces {
  readonly #db: Db;
  readonly #sealer: Sealer;
  readonly #ulid = monotonicFactory();
  readonly #kept = new Map<string, Kept>();
  readonly #indices = new Map<string, VectorIndex>();

  constructor(db: Db, sealer: Sealer) {
    this.#db = db;
    this.#sealer = sealer;
  }

  load(): void {
    for (const row of this.#db.prepare<[], Row>('SELECT * FROM unknown_faces ORDER BY id').iterate()) {
      const kept = { ...this.#about(row), id: row.id, group: row.group_id, space: row.space };
      this.#remember({ ...kept, expiresAt: row.expires_at }, this.#vector(row));
    }
  }

  add(face: NewUnknownFace, { threshold, limit }: { threshold: number; limit: number }): string {
    const { embedding, quality, camera, track, seenAt, expiresAt, image } = face;
    const id = this.#ulid();
    const group = this.#groupOf(face, threshold) ?? id;
    const about: About = { camera, track, seenAt, quality };
    const { vector, space } = embedding;
    const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
    this.#db
      .prepare(`INSERT INTO unknown_faces (id, group_id, space, vector, about, image, expires_at)
         VALUES (?, ?, ?, ?, ?, ?, ?)`)
      .run(
        id,
        group,
        space,
        this.#sealer.seal(bytes, ['unknown', id, space]),
        this.#sealer.seal(JSON.stringify(about), ['unknown-about', id]),
        image === null ? null : this.#sealer.seal(image, ['unknown-image', id]),
        expiresAt,
      );
    this.#remember({ ...about, id, group, space, expiresAt }, vector);
    const surplus = this.#kept.size - limit;
    // The map keeps the order of the ids, which is that of time.
    if (surplus > 0) this.#delete([...this.#kept.keys()].slice(0, surplus));
    return group;
  }

  groups(now: number): UnknownGroup[] {
    const groups = new Map<string, Kept[]>();
    for (const kept of this.#kept.values())
      if (kept.expiresAt > now) groups.set(kept.group, [...(groups.get(kept.group) ?? []), kept]);
    return [...groups]
      .map(([group, faces]) => ({
        group,
        faces: faces.length,
        cameras: [...new Set(faces.map(({ camera }) => camera))],
        firstSeen: Math.min(...faces.map(({ seenAt }) => seenAt)),
        lastSeen: Math.max(...faces.map(({ seenAt }) => seenAt)),
        expiresAt: Math.max(...faces.map(({ expiresAt }) => expiresAt)),
        best: faces.reduce((a, b) => (b.quality.score > a.quality.score ? b : a)).id,
      }))
      .sort((a, b) => b.lastSeen - a.lastSeen);
  }

  faces(group: string, now: number): UnknownFace[] {
    return this.#db
      .prepare<[string, number], Row>(
        'SELECT * FROM unknown_faces WHERE group_id = ? AND expires_at > ? ORDER BY id',
      )
      .all(group, now)
      .map((row) => ({
        ...this.#about(row),
        id: row.id,
        group,
        expiresAt: row.expires_at,
        embedding: { space: row.space, vector: this.#vector(row) },
        image:
          row.image === null ? null : new Uint8Array(this.#sealer.open(row.image, ['unknown-image', row.id])),
      }));
  }

  /** `within` runs in the same transaction. */
  forget(which: UnknownChoice, within: (faces: number) => void = () => {}): number {
    const meant = (kept: Kept): boolean => {
      if (which === 'all') return true;
      return 'groups' in which ? which.groups.includes(kept.group) : which.tracks.includes(kept.track);
    };
    return this.#delete(
      [...this.#kept.values()].filter(meant).map(({ id }) => id),
      within,
    );
  }

  prune(now: number): number {
    return this.#delete([...this.#kept.values()].filter((one) => one.expiresAt <= now).map(({ id }) => id));
  }

  /** The clock was ahead by so much: what was kept under it would stay for longer than was said. Others go earlier. */
  sooner(byMs: number): void {
    this.#db.prepare('UPDATE unknown_faces SET expires_at = expires_at - ?').run(byMs);
    for (const kept of this.#kept.values())
      this.#kept.set(kept.id, { ...kept, expiresAt: kept.expiresAt - byMs });
  }

  #groupOf({ embedding, track }: NewUnknownFace, threshold: number): string | undefined {
    for (const kept of this.#kept.values()) if (kept.track === track) return kept.group;
    const nearest = this.#indices.get(embedding.space)?.nearest(embedding.vector);
    return nearest != null && nearest.similarity >= threshold ? nearest.owner : undefined;
  }

  #remember(kept: Kept, vector: Float32Array): void {
    const index = this.#indices.get(kept.space) ?? new VectorIndex(vector.length);
    this.#indices.set(kept.space, index);
    index.add(kept.id, kept.group, vector);
    this.#kept.set(kept.id, kept);
  }

  #delete(ids: readonly string[], within: (faces: number) => void = () => {}): number {
    if (ids.length === 0) {
      within(0);
      return 0;
    }
    const remove = this.#db.prepare('DELETE FROM unknown_faces WHERE id = ?');
    forGood(
      this.#db,
      this.#db.transaction(() => {
        for (const id of ids) remove.run(id);
        within(ids.length);
      }),
    );
    for (const id of ids) {
      const space = this.#kept.get(id)?.space ?? '';
      const index = this.#indices.get(space);
      index?.remove(id);
      if (index?.size === 0) this.#indices.delete(space);
      this.#kept.delete(id);
    }
    emptyLog(this.#db);
    return ids.length;
  }

  #about({ id, about }: Row): About {
    return JSON.parse(this.#sealer.open(about, ['unknown-about', id]).toString('utf8')) as About;
  }

  #vector({ id, space, vector }: Row): Float32Array {
    const bytes = this.#sealer.open(vector, ['unknown', id, space]);
    const floats = new Float32Array(bytes.length / 4);
    new Uint8Array(floats.buffer).set(bytes);
    return floats;
  }
}
