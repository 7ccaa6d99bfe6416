import type { CommandClaim, CommandVerdict, OutboxMessage, OutboxStats } from '../../src/pipeline/ports.js';

/** The three outbox methods of the store, in memory, with counters for what a test asks about. */
export class MemoryOutbox {
  readonly messages: OutboxMessage[] = [];
  reads = 0;
  #next = 1;

  record(topic: string, payload: string): void {
    this.messages.push({ seq: this.#next++, topic, payload });
  }

  async outbox(limit: number): Promise<OutboxMessage[]> {
    this.reads++;
    return this.messages.slice(0, limit);
  }

  async acknowledge(upToSeq: number): Promise<void> {
    while (this.messages[0] !== undefined && this.messages[0].seq <= upToSeq) this.messages.shift();
  }

  async outboxStats(): Promise<OutboxStats> {
    return { waiting: this.messages.length, limit: 10_000, dropped: 0 };
  }
}

/** The ids of commands, in memory; `fails` is thrown instead, when it is set. */
export class MemoryCommands {
  readonly claims: CommandClaim[] = [];
  fails: Error | undefined;

  async claimCommand(claim: CommandClaim): Promise<CommandVerdict> {
    if (this.fails !== undefined) throw this.fails;
    const living = this.claims.filter(({ kind, until }) => kind === claim.kind && until >= claim.now);
    if (living.some(({ id }) => id === claim.id)) return 'repeated';
    if (living.length >= claim.limit) return 'full';
    this.claims.push(claim);
    return 'claimed';
  }
}
