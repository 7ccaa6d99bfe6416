import '../../lib/no-telemetry.js';
import { Worker } from 'node:worker_threads';
import { FacedError } from '../../domain/errors.js';
import { Caller, channelOf } from '../../lib/rpc.js';

interface Member {
  readonly worker: Worker;
  readonly caller: Caller;
}

/** Threads of one program; each has one call at a time, further calls wait in order. */
export class Pool {
  readonly size: number;
  readonly #idle: Member[];
  readonly #members: readonly Member[];
  readonly #waiting: ((member: Member) => void)[] = [];
  #busyMs = 0;

  /** One thread for each entry of `workerData`. */
  constructor(script: URL, workerData: readonly object[]) {
    this.size = workerData.length;
    this.#members = workerData.map((data) => {
      const worker = new Worker(script, { workerData: data });
      const caller = new Caller(channelOf(worker), { reviveError: FacedError.from });
      worker.once('error', (error) => caller.fail(FacedError.from(error)));
      worker.once('exit', (code) =>
        caller.fail(new FacedError('rpc.closed', `a worker ended with code ${code}`)),
      );
      return { worker, caller };
    });
    this.#idle = [...this.#members];
  }

  /** Milliseconds that the threads worked, all together. */
  get busyMs(): number {
    return this.#busyMs;
  }

  async call<Result>(method: string, argument: unknown): Promise<Result> {
    const member = await this.#take();
    const started = performance.now();
    try {
      return await member.caller.call<Result>(method, argument);
    } finally {
      this.#busyMs += performance.now() - started;
      this.#give(member);
    }
  }

  /** What runs or waits is waited for: a thread that is cut off in a run of ONNX Runtime aborts the whole process. */
  async stop(): Promise<void> {
    const members = await Promise.all(this.#members.map(() => this.#take()));
    await Promise.all(members.map(({ worker }) => worker.terminate()));
    // Whoever calls now hears that the threads have ended.
    for (const member of members) this.#give(member);
  }

  async #take(): Promise<Member> {
    return this.#idle.shift() ?? new Promise((resolve) => this.#waiting.push(resolve));
  }

  #give(member: Member): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(member);
    else next(member);
  }
}
