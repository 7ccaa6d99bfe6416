import { AsyncLocalStorage } from 'node:async_hooks';

/** Who waits for long work over pictures: called off by the signal, told of each run of the network. */
export interface Watch {
  readonly signal: AbortSignal;
  /** So many runs more will follow. */
  onRuns(count: number): void;
  onRun(): void;
}

const watches = new AsyncLocalStorage<Watch>();

/**
 * Everything that `work` runs is watched, however deep in the workshop: its steps need not hand the watch on. Rejects
 * with the signal's reason soon after it was called off; what `work` cleans up is cleaned up.
 */
export function watched<T>(watch: Watch, work: () => Promise<T>): Promise<T> {
  return watches.run(watch, work);
}

/** For a loop of the workshop: `count` runs of the network follow. The answer is called before each of them. */
export function watchRuns(count: number): () => void {
  const watch = watches.getStore();
  watch?.onRuns(count);
  return () => {
    watch?.signal.throwIfAborted();
    watch?.onRun();
  };
}
