import { FacedError } from '../domain/errors.js';

/**
 * The layer that a user's key names, as an index of `names`: its name, the first part of it (`conv1` of `conv1.conv` or
 * `/conv1/conv/Conv`; underscores and the case do not matter), its place from 0, or, where a file has forgotten the names,
 * MobileFaceNet's own ones for the first layer (`conv1`) and for the 1x1 before the head (`conv6_sep`, at `head`).
 * Throws `usage.invalid` when there is none, or when the share is not one.
 */
export function layerByKey(names: readonly string[], wanted: LayerShare, head: number): number {
  const { key, share } = wanted;
  const plain = plainName(key);
  const own = names.findIndex((name) => name === key || `${plainName(name)}.`.startsWith(`${plain}.`));
  const place = own === -1 ? placeOf(key, plain, head) : own;
  if (names[place] !== undefined && share >= 0 && share < 1) return place;
  throw new FacedError('usage.invalid', `--layer ${key}=${share} fits no layer`, {
    fix: `name one of ${names.map((name, at) => `${at} (${name})`).join(', ')} and a share from 0 to below 1`,
  });
}

export interface LayerShare {
  readonly key: string;
  readonly share: number;
}

function plainName(name: string): string {
  return name.replace(/^\//, '').replaceAll('/', '.').replaceAll('_', '').toLowerCase();
}

function placeOf(key: string, plain: string, head: number): number {
  if (/^\d+$/.test(key)) return Number(key);
  if (plain === 'conv1') return 0;
  return plain === 'conv6sep' ? head : -1;
}
