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
  readonly #running = new Set<Promise<unknown>>();
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
    const member =
      this.#idle.shift() ?? (await new Promise<Member>((resolve) => this.#waiting.push(resolve)));
    const started = performance.now();
    try {
      const running = member.caller.call<Result>(method, argument);
      this.#running.add(running);
      return await running.finally(() => this.#running.delete(running));
    } finally {
      this.#busyMs += performance.now() - started;
      const next = this.#waiting.shift();
      if (next === undefined) this.#idle.push(member);
      else next(member);
    }
  }

  /** What runs is waited for: a thread that is cut off in a run of ONNX Runtime aborts the whole process. */
  async stop(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
    await Promise.all(this.#members.map(({ worker }) => worker.terminate()));
  }
}
