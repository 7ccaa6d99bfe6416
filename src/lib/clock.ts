/** Time, so that tests can hold it still. All in milliseconds. */
export interface Clock {
  /** Since 1970. */
  wall(): number;
  /** CLOCK_MONOTONIC: the same in every process of this machine, never set back. */
  monotonic(): number;
}

export const systemClock: Clock = {
  wall: () => Date.now(),
  monotonic: () => Number(process.hrtime.bigint()) / 1e6,
};
