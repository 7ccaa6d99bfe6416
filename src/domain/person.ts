/** Somebody in the gallery, as events name them. */
export interface PersonRef {
  /** ULID. */
  readonly id: string;
  readonly name: string;
}

export interface Person extends PersonRef {
  readonly samples: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** Looks that are taken to be of one stranger. */
export interface UnknownGroup {
  readonly group: string;
  readonly faces: number;
  readonly cameras: readonly string[];
  /** Milliseconds since 1970, as the next two. */
  readonly firstSeen: number;
  readonly lastSeen: number;
  /** When the last of them is gone. */
  readonly expiresAt: number;
  /** Id of the best of them. */
  readonly best: string;
}

/** What the gallery answers for one embedding: the nearest person, and the similarity of the next other one. */
export interface Match {
  readonly person: PersonRef;
  /** Cosine, -1 to 1. */
  readonly similarity: number;
  /** Cosine of the best sample of any other person; null when the gallery holds one person only. */
  readonly runnerUp: number | null;
}
