import type { OutboxMessage, OutboxStats } from '../../src/pipeline/ports.js';

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
