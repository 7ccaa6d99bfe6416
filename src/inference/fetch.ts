import { copyFile, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FacedError } from '../domain/errors.js';
import { loadCards, type PlacedCard } from './card.js';
import { hashFile } from './hash.js';
import { fetchNpmFiles } from './npm-files.js';

export interface FetchOptions {
  readonly dir: string;
  /** Which models; all shipped ones when left out. */
  readonly ids?: readonly string[];
  /** A tarball of the package, or one model file, that is here already. */
  readonly from?: string;
  readonly signal?: AbortSignal;
  readonly shippedCards?: string;
  /** Bytes have come, or a file is done. */
  readonly onProgress?: () => void;
}

export interface Fetched {
  readonly id: string;
  readonly path: string;
  /** False: it was there already. */
  readonly written: boolean;
}

/** Brings the files of model cards to their places. At no cost when they are there. Throws `model.*` errors. */
export async function fetchModels(options: FetchOptions): Promise<Fetched[]> {
  const wanted = await chosen(options);
  if (options.from !== undefined && !/\.(tgz|tar\.gz)$/.test(options.from)) {
    return [await placeFile(options.from, wanted)];
  }
  const done: Fetched[] = [];
  for (const [name, cards] of groupBy(wanted, ({ card }) => card.source?.npm ?? '')) {
    const source = cards[0]?.card.source;
    if (source === undefined) throw noSource(cards);
    const written = await fetchNpmFiles({
      package: name,
      integrity: source.integrity,
      files: cards.map(({ card, path }) => ({
        path: card.source?.path ?? '',
        sha256: card.sha256,
        to: path,
      })),
      ...(options.from === undefined ? {} : { tarball: options.from }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
    });
    done.push(...cards.map(({ card, path }) => ({ id: card.id, path, written: written.includes(path) })));
  }
  return done;
}

/**
 * Tries again while what is fetched from cannot be reached (`model.fetch-failed`), for so long; then rejects with the last
 * reason. A machine that boots may have its network a minute later than its services.
 */
export async function untilReachable<Result>(
  fetch: () => Promise<Result>,
  options: {
    readonly patienceMs: number;
    readonly pause: () => Promise<unknown>;
    readonly onWait: (reason: FacedError) => void;
  },
): Promise<Result> {
  const deadline = performance.now() + options.patienceMs;
  for (let tries = 1; ; tries++) {
    try {
      return await fetch();
    } catch (thrown) {
      const error = FacedError.from(thrown);
      if (error.code !== 'model.fetch-failed' || performance.now() >= deadline) throw error;
      if (tries === 1) options.onWait(error);
      await options.pause();
    }
  }
}

async function chosen({ dir, ids, shippedCards }: FetchOptions): Promise<PlacedCard[]> {
  const cards = await loadCards(dir, shippedCards);
  if (ids === undefined) return [...cards.values()].filter(({ card }) => card.source !== undefined);
  return ids.map((id) => {
    const placed = cards.get(id);
    if (placed !== undefined) return placed;
    throw new FacedError(
      'model.unknown',
      `no model card with the id ${id}; there are ${[...cards.keys()].join(', ')}`,
    );
  });
}

/** A single model file says by its hash which card it belongs to. */
async function placeFile(from: string, cards: readonly PlacedCard[]): Promise<Fetched> {
  const { sha256 } = await hashFile(from).catch((cause: unknown) => {
    throw new FacedError('usage.not-found', `${from} cannot be read`, { cause });
  });
  const placed = cards.find(({ card }) => card.sha256 === sha256);
  if (placed === undefined) {
    throw new FacedError('model.mismatch', `${from} has the SHA-256 ${sha256}, which is in no card`, {
      fix: 'To use a model of your own, put it with a card into the folder of models.',
    });
  }
  const { card, path } = placed;
  const there = await hashFile(path).catch(() => null);
  if (there?.sha256 === sha256) return { id: card.id, path, written: false };
  await mkdir(dirname(path), { recursive: true });
  await copyAtomic(from, path);
  return { id: card.id, path, written: true };
}

/** Like writeFileAtomic, without the whole file in memory: a recogniser may have 170 MB. */
async function copyAtomic(from: string, to: string): Promise<void> {
  const temporary = `${to}.${process.pid}.tmp`;
  try {
    await copyFile(from, temporary);
    const file = await open(temporary, 'r+');
    await file.sync().finally(() => file.close());
    await rename(temporary, to);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

function noSource(cards: readonly PlacedCard[]): FacedError {
  const ids = cards.map(({ card }) => card.id).join(', ');
  return new FacedError('model.fetch-failed', `the card of ${ids} names no source`, {
    fix: 'Put the file where the card says, or pass it with --from.',
  });
}

function groupBy<One>(all: readonly One[], key: (one: One) => string): Map<string, One[]> {
  const groups = new Map<string, One[]>();
  for (const one of all) groups.set(key(one), [...(groups.get(key(one)) ?? []), one]);
  return groups;
}

/** Photographs with faces that a pinned package ships: for the demonstration and the tests. No face is stored here. */
export const DEMO_PHOTOS = {
  package: '@vladmandic/face-api@1.7.15',
  integrity:
    'sha512-WDMmK3CfNLo8jylWqMoQgf4nIst3M0fzx1dnac96wv/dvMTN4DxC/Pq1DGtduDk1lktCamQ3MIDXFnvrdHTXDw==',
  licence: 'MIT (as the package states)',
  files: {
    'sample1.jpg': '8ecae4b267b2d3169e06e00c7dee97097aa2a94635d45216f7732a5f4943cb51',
    'sample2.jpg': '7d2b60ae6f13bf30f422e04df87451081a02c83de469056f25afb44b7000c691',
    'sample3.jpg': '8eb081c9efb14370fa94d9feab9e5fbeafd19a627491853a80c2bf67f7ffa936',
    'sample4.jpg': '729efa5923061d40eb4ed5f267a18cc7b8ba6f852bb2757b16d8b7e4937476fc',
    'sample5.jpg': '6d45095ebb182d8f975c0790e0e4eefd86fbb40609cf4b271776d92e12662938',
    'sample6.jpg': '9baad80f9d5e306fb9b8c0913d44445f1e95848df317530efb03d0934c57ba87',
  },
} as const;

/** Paths of the demonstration's photographs in `dir`, fetched when they are not there. */
export async function fetchDemoPhotos(
  dir: string,
  options: { tarball?: string; signal?: AbortSignal; onProgress?: () => void } = {},
): Promise<string[]> {
  const files = Object.entries(DEMO_PHOTOS.files).map(([name, sha256]) => ({
    path: `demo/${name}`,
    sha256,
    to: join(dir, name),
  }));
  await fetchNpmFiles({ package: DEMO_PHOTOS.package, integrity: DEMO_PHOTOS.integrity, files, ...options });
  return files.map(({ to }) => to);
}
