import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Task } from "./tasks.ts";

export type ToLoad = { readonly kind: "prepare"; readonly task: Task } | { readonly kind: "go" };

export type FromLoad =
  | { readonly kind: "ready" }
  /** Times of the monotonic clock, which all processes share, in nanoseconds. */
  | {
      readonly kind: "done";
      readonly operations: number;
      readonly samples: number[];
      readonly began: string;
      readonly ended: string;
    }
  | { readonly kind: "failed"; readonly message: string };

export interface LoadResult {
  readonly operations: number;
  /** From the first process's start to the last one's end. */
  readonly seconds: number;
  /** What tasks measured themselves. */
  readonly samples: readonly number[];
}

const PROGRAM = fileURLToPath(new URL("process.ts", import.meta.url));

/** Processes that make load side by side. They live as long as the pool, so that starting them is not measured. */
export class LoadPool implements AsyncDisposable {
  readonly #processes: ChildProcess[] = [];

  /** Runs tasks at the same time, each in a process of its own. @throws Error what failed in one of them */
  async run(tasks: readonly Task[]): Promise<LoadResult> {
    while (this.#processes.length < tasks.length) this.#processes.push(fork(PROGRAM));
    const busy = tasks.map((task, at) => ({ task, process: this.#at(at) }));
    await Promise.all(busy.map(({ task, process }) => ask(process, { kind: "prepare", task })));
    const done = await Promise.all(busy.map(({ process }) => ask(process, { kind: "go" })));
    const runs = done.flatMap((answer) => (answer.kind === "done" ? [answer] : []));
    const began = runs.map((run) => BigInt(run.began)).reduce((a, b) => (a < b ? a : b));
    const ended = runs.map((run) => BigInt(run.ended)).reduce((a, b) => (a > b ? a : b));
    return {
      operations: runs.reduce((sum, run) => sum + run.operations, 0),
      seconds: Number(ended - began) / 1e9,
      samples: runs.flatMap((run) => run.samples),
    };
  }

  #at(index: number): ChildProcess {
    const process = this.#processes[index];
    if (process === undefined) throw new Error(`There is no load process ${index}`);
    return process;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#processes.map(async (process) => {
        if (process.exitCode !== null || process.signalCode !== null) return;
        const gone = once(process, "exit");
        process.disconnect();
        await gone;
      }),
    );
  }
}

async function ask(process: ChildProcess, message: ToLoad): Promise<FromLoad> {
  const gone = new AbortController();
  const answered = once(process, "message", gone) as Promise<[FromLoad]>;
  const exited = once(process, "exit", gone).then(() => {
    throw new Error("A load process ended");
  });
  process.send(message);
  try {
    const [answer] = await Promise.race([answered, exited]);
    if (answer.kind === "failed") throw new Error(answer.message);
    return answer;
  } finally {
    gone.abort();
    answered.catch(() => undefined);
    exited.catch(() => undefined);
  }
}
