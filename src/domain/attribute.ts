/** What a head says of a face beside who it is: the likeliest of its classes, and how likely. */
export interface Attribute {
  readonly value: string;
  /** 0 to 1. */
  readonly share: number;
}

/** By the name of the head: `{"glasses":{"value":"with","share":0.97}}`. */
export type Attributes = Readonly<Record<string, Attribute>>;
