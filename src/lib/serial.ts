/** Work that is done one after the other, in the order in which it was asked for. */
export class Serial {
  #last: Promise<unknown> = Promise.resolve();

  /** Rejects with what `work` rejects with; the next is not held up by that. */
  run<Result>(work: () => Result | Promise<Result>): Promise<Result> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** Resolves when all that was asked for until now is over. */
  async idle(): Promise<void> {
    await this.#last;
  }
}
