/** The machine as a whole; null: the kernel does not say. */
export interface MachineLook {
  readonly temperatureC: number | null;
  /** Bytes, as the next three. */
  readonly diskFree: number | null;
  readonly diskTotal: number | null;
  readonly memoryFree: number | null;
  readonly memoryTotal: number | null;
  /** 0: enough, 1: low, 2: critical. */
  readonly memoryLevel: number | null;
  /** The cameras' pace, for the sake of heat: 0 full, 3 slowest. */
  readonly heatLevel: number;
  /** How often that changed since the start. */
  readonly heatSteps: number;
}
