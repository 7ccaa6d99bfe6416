/** The people in view of a door, as pure functions over the list of their tracks. */
import type { DenyReason, TrackState } from './policy-types.js';
import type { Look, SureRules } from './sure.js';

/** More faces than this at one door are a crowd; the longest unseen is forgotten. */
const MOST_TRACKS = 16;
const MOST_LOOKS = 32;

/** Not a refusal yet: more may be seen in a moment. */
const WAITING: ReadonlySet<DenyReason> = new Set([
  'no-look',
  'stale',
  'poor',
  'too-few-looks',
  'too-short',
  'liveness-pending',
  'disagree',
]);

export function trackOf(tracks: readonly TrackState[], camera: string, id: string): TrackState {
  return (
    tracks.find(({ track }) => track === id) ?? {
      track: id,
      camera,
      looks: [],
      active: 'pending',
      activeAt: null,
      countedSpoof: false,
      said: null,
    }
  );
}

/** The one that changed last stands last. */
export function withTrack(tracks: readonly TrackState[], track: TrackState): TrackState[] {
  const others = tracks.filter((one) => one.track !== track.track);
  return [...others, track].slice(-MOST_TRACKS);
}

/** A look that was compared with a claimed person comes later than it was seen. */
export function withLook(track: TrackState, look: Look): TrackState {
  return { ...track, looks: [...track.looks, look].sort((a, b) => a.at - b.at).slice(-MOST_LOOKS) };
}

export function youngerThan(tracks: readonly TrackState[], keepMs: number, now: number): TrackState[] {
  return tracks.flatMap((track) => {
    if (now - lastSeen(track) > keepMs) return [];
    return { ...track, looks: track.looks.filter(({ at }) => now - at <= keepMs) };
  });
}

/** One bad look among good ones is no refusal either: somebody is still walking up. */
export function mayStillChange({ looks }: TrackState, reason: DenyReason, sure: SureRules): boolean {
  if (WAITING.has(reason)) return true;
  return (
    looks.filter(({ kind, quality }) => kind !== 'poor' && quality >= sure.minQuality).length < sure.looks
  );
}

/** What is left of a track whose looks count no longer: that it is flat, if it is. */
export function onlyFlat(track: TrackState): TrackState[] {
  return track.active === 'not-live' ? [{ ...track, looks: [], said: null }] : [];
}

export function names(look: Look, person: string): boolean {
  return look.person === person || look.claim?.person === person;
}

function lastSeen({ looks, activeAt }: TrackState): number {
  return Math.max(looks.at(-1)?.at ?? Number.NEGATIVE_INFINITY, activeAt ?? Number.NEGATIVE_INFINITY);
}
