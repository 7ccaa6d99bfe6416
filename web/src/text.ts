import en from './text/en.json';
import zh from './text/zh.json';

export type Language = 'en' | 'zh';
export type Key = keyof typeof en;

const DICTIONARIES: Readonly<Record<Language, Readonly<Record<Key, string>>>> = { en, zh };
const KEPT = 'faced.language';

let language: Language = first();

function first(): Language {
  try {
    const kept = localStorage.getItem(KEPT);
    if (kept === 'en' || kept === 'zh') return kept;
  } catch {
    // A browser that keeps nothing: its own language then.
  }
  return navigator.language.startsWith('zh') ? 'zh' : 'en';
}

export function currentLanguage(): Language {
  return language;
}

export function chooseLanguage(next: Language): void {
  language = next;
  document.documentElement.lang = next === 'zh' ? 'zh-CN' : 'en';
  try {
    localStorage.setItem(KEPT, next);
  } catch {
    // It holds until the page is left.
  }
}

/** The text of a key, with `{name}` filled in. */
export function t(key: Key, values: Readonly<Record<string, string | number>> = {}): string {
  return DICTIONARIES[language][key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''));
}

/** The text of a key that is put together; null when there is none. */
export function maybe(key: string): string | null {
  const dictionary: Readonly<Record<string, string>> = DICTIONARIES[language];
  return dictionary[key] ?? null;
}

function locale(): string {
  return language === 'zh' ? 'zh-CN' : 'en-GB';
}

export function when(time: string | number): string {
  return new Date(time).toLocaleString(locale(), { dateStyle: 'medium', timeStyle: 'short' });
}

export function clock(time: string | number): string {
  return new Date(time).toLocaleTimeString(locale(), {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  });
}

export function day(time: string | number): string {
  return new Date(time).toLocaleDateString(locale(), { weekday: 'long', day: 'numeric', month: 'long' });
}

export function number(value: number, digits = 0): string {
  return value.toLocaleString(locale(), { maximumFractionDigits: digits, minimumFractionDigits: digits });
}

/** 1M, 100万. */
export function compact(value: number): string {
  return value.toLocaleString(locale(), { notation: 'compact' });
}

export function percent(share: number, digits = 0): string {
  return share.toLocaleString(locale(), { style: 'percent', maximumFractionDigits: digits });
}

export function bytes(value: number): string {
  return value >= 1e9 ? `${number(value / 1e9, 1)} GB` : `${number(value / 1e6)} MB`;
}
