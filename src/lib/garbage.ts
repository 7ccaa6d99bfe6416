/**
 * Collects what loading the program has left behind: megabytes that V8 would keep until nothing happens for some
 * seconds. The first round frees, the second gives the emptied pages back. Takes 10 to 25 ms, so it is called where this
 * thread waits anyway. Needs --expose-gc, which bin/faced gives; a process without it goes on as it is.
 */
export function collectGarbage(): void {
  globalThis.gc?.();
  globalThis.gc?.();
}
