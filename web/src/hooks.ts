import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ask } from './api.js';

/** What the API says at an address; asked again with `again`, and every so often when `everyMs` is given. */
export function useAsked<Answer>(path: string | null, everyMs?: number) {
  const [state, setState] = useState<{ path: string | null; answer: Answer | null; error: unknown }>({
    path: null,
    answer: null,
    error: null,
  });
  const [turn, setTurn] = useState(0);
  const again = useCallback(() => setTurn((one) => one + 1), []);
  useEffect(() => {
    if (path === null) return;
    const gone = new AbortController();
    ask<Answer>(path, { signal: gone.signal })
      .then((answer) => setState({ path, answer, error: null }))
      .catch((error: unknown) => {
        if (!gone.signal.aborted) setState((before) => ({ ...before, path, error }));
      });
    return () => gone.abort();
  }, [path, turn]);
  useEffect(() => {
    if (everyMs === undefined) return;
    const timer = setInterval(again, everyMs);
    return () => clearInterval(timer);
  }, [everyMs, again]);
  const own = state.path === path;
  return { answer: own ? state.answer : null, error: own ? state.error : null, again };
}

/** Work that somebody asked for: whether it goes on, and what became of it. */
export function useWork() {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const run = useCallback(async (work: () => Promise<void>) => {
    setBusy(true);
    setError(null);
    try {
      await work();
    } catch (thrown) {
      setError(thrown);
    } finally {
      setBusy(false);
    }
  }, []);
  return { busy, error, run };
}

/** Events of a stream while the component stands; the browser connects again by itself, and `open` is told of it. */
export function useStream(
  path: string | null,
  listeners: Readonly<Record<string, (data: unknown) => void>>,
): void {
  const latest = useRef(listeners);
  latest.current = listeners;
  const names = Object.keys(listeners).join(' ');
  useEffect(() => {
    if (path === null) return;
    const source = new EventSource(path);
    for (const name of names.split(' '))
      source.addEventListener(name, (event) =>
        latest.current[name]?.(name === 'open' ? null : (JSON.parse(event.data) as unknown)),
      );
    return () => source.close();
  }, [path, names]);
}

/** The page's place: what stands behind `#/`, in parts. */
export function useRoute(): readonly string[] {
  const [route, setRoute] = useState(read);
  useEffect(() => {
    const changed = () => setRoute(read());
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return route;
}

function read(): readonly string[] {
  return location.hash.startsWith('#/') ? location.hash.slice(2).split('/').map(decodeURIComponent) : [];
}

export function go(...parts: readonly string[]): void {
  location.hash = `/${parts.map(encodeURIComponent).join('/')}`;
}
