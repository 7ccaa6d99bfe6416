import { ulid } from 'ulid';
import type { RecognitionEvent } from '../domain/event.js';
import type { Problem } from '../domain/problem.js';
import { type Clock, systemClock } from '../lib/clock.js';

export const NOTICE_KINDS = [
  'camera',
  'broker',
  'disk',
  'heat',
  'memory',
  'spoof',
  'door',
  'vision',
  'gallery',
  'other',
] as const;

export type NoticeKind = (typeof NOTICE_KINDS)[number];

/** Something that the people of the house should know of. No name and no picture. */
export interface Notice {
  /** ULID. */
  readonly id: string;
  readonly time: string;
  readonly kind: NoticeKind;
  /** `happened`: an instant, such as a spoof; the others come in pairs. */
  readonly state: 'raised' | 'cleared' | 'happened';
  /** Stable, of the error or event behind it. */
  readonly code: string;
  readonly message: string;
}

/** Notices that are remembered. */
const LIMIT = 200;

/** What matters, told once when it begins and once when it is over. */
export class Notices {
  readonly #clock: Clock;
  readonly #active = new Map<string, Notice>();
  readonly #listeners = new Set<(notice: Notice) => void>();
  #recent: Notice[] = [];

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  on(listener: (notice: Notice) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** All that is wrong now: what was not before is raised, what was and is no more is cleared. */
  problems(list: readonly Problem[]): void {
    const now = new Map(list.map((problem) => [keyOf(problem), problem]));
    for (const [key, notice] of this.#active)
      if (!now.has(key)) {
        this.#active.delete(key);
        this.#tell({ kind: notice.kind, state: 'cleared', code: notice.code, message: notice.message });
      }
    for (const [key, { code, message }] of now)
      if (!this.#active.has(key))
        this.#active.set(key, this.#tell({ kind: kindOf(code), state: 'raised', code, message }));
  }

  decided({ decision, camera }: Pick<RecognitionEvent, 'decision' | 'camera'>): void {
    if (decision !== 'spoof') return;
    const message = `${camera}: a face did not look alive`;
    this.#tell({ kind: 'spoof', state: 'happened', code: 'spoof', message });
  }

  /** What a door says that people should hear: held open, forced, locked out. */
  door(what: string, door: string): void {
    this.#tell({ kind: 'door', state: 'happened', code: `door.${what}`, message: `${door}: ${what}` });
  }

  /** Those that are raised and not cleared. */
  active(): Notice[] {
    return [...this.#active.values()];
  }

  /** Newest first. */
  recent(): Notice[] {
    return [...this.#recent].reverse();
  }

  #tell(what: Omit<Notice, 'id' | 'time'>): Notice {
    const now = this.#clock.wall();
    const notice = { id: ulid(now), time: new Date(now).toISOString(), ...what };
    this.#recent = [...this.#recent.slice(-(LIMIT - 1)), notice];
    for (const listener of this.#listeners) listener(notice);
    return notice;
  }
}

/** The same trouble in other words (a number that grows) is the same trouble; each camera and door has its own. */
function keyOf({ code, message }: Problem): string {
  const about = /^(source|door)\./.test(code) ? (message.split(':')[0] ?? '') : '';
  return `${code} ${about}`;
}

function kindOf(code: string): NoticeKind {
  if (code === 'gallery.disk-full' || code === 'system.disk-low') return 'disk';
  if (code === 'system.hot' || code === 'system.slowed') return 'heat';
  if (code.startsWith('memory.')) return 'memory';
  const [room] = code.split('.');
  const kinds: Record<string, NoticeKind> = {
    source: 'camera',
    mqtt: 'broker',
    door: 'door',
    vision: 'vision',
    gallery: 'gallery',
  };
  return kinds[room ?? ''] ?? 'other';
}
