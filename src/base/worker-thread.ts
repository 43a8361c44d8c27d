import { parentPort, Worker } from "node:worker_threads";
import { keepCompiled } from "./compile-cache.ts";
import { log } from "./log.ts";

/**
 * A worker thread that does jobs: a message a job, a message an answer. Bytes are not copied: they lie in memory that both
 * threads see. A thread that dies takes its jobs with it and is replaced.
 */

interface JobMessage<Job> {
  readonly number: number;
  readonly job: Job;
}

/** An error as it travels: classes do not. */
export interface ToldError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
}

interface AnswerMessage<Answer> {
  readonly number: number;
  readonly answer?: Answer;
  readonly error?: ToldError;
}

interface UnderWay<Answer> {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A thread begins so long after it was asked for, or with its first job: whoever takes a mount over answers the kernel first.
 */
export const BEGIN_MS = 300;

export class WorkerThread<Job, Answer> {
  readonly #program: URL;
  #settings: unknown;
  readonly #jobs = new Map<number, UnderWay<Answer>>();
  #worker: Worker | undefined;
  readonly #begin: NodeJS.Timeout;
  #number = 0;
  #closed = false;

  /** `settings` reach the program as `workerData`. */
  constructor(program: URL, settings: unknown) {
    this.#program = program;
    this.#settings = settings;
    this.#begin = setTimeout(() => {
      this.#worker ??= this.#start();
    }, BEGIN_MS).unref();
  }

  /** Jobs that are not answered yet. */
  get busy(): number {
    return this.#jobs.size;
  }

  /** @throws what the job failed with: an Error of the same name */
  run(job: Job): Promise<Answer> {
    const number = ++this.#number;
    return new Promise((resolve, reject) => {
      this.#jobs.set(number, { resolve, reject });
      this.#worker ??= this.#start();
      this.#worker.postMessage({ number, job } satisfies JobMessage<Job>);
    });
  }

  /** A thread that replaces this one begins with `settings`; this one is told by `job`. */
  renew(settings: unknown, job: Job): Promise<Answer> {
    this.#settings = settings;
    return this.run(job);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#begin);
    await this.#worker?.terminate();
  }

  #start(): Worker {
    const worker = new Worker(this.#program, { workerData: this.#settings });
    worker.on("message", (message: AnswerMessage<Answer>) => {
      const job = this.#jobs.get(message.number);
      this.#jobs.delete(message.number);
      if (message.error === undefined) job?.resolve(message.answer as Answer);
      else job?.reject(revived(message.error));
    });
    worker.on("error", (error) => {
      log.error({ error }, "a worker thread died");
    });
    worker.once("exit", () => {
      const lost = [...this.#jobs.values()];
      this.#jobs.clear();
      if (!this.#closed) this.#worker = this.#start();
      for (const { reject } of lost) reject(new Error("The worker thread died"));
    });
    return worker;
  }
}

/** The thread's side: does what it is sent, as much at once as comes. `work` takes the jobs of its `WorkerThread`. */
export function serveJobs(work: (job: never) => Promise<unknown>): void {
  const port = parentPort;
  if (port === null) throw new Error("This program is a worker thread");
  keepCompiled();
  const answer = async ({ number, job }: JobMessage<never>): Promise<void> => {
    let message: AnswerMessage<unknown>;
    try {
      message = { number, answer: await work(job) };
    } catch (error) {
      message = { number, error: told(error) };
    }
    port.postMessage(message);
  };
  port.on("message", (message: JobMessage<never>) => void answer(message));
}

function told(error: unknown): ToldError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error), stack: undefined };
  return { name: error.name, message: error.message, stack: error.stack };
}

function revived({ name, message, stack }: ToldError): Error {
  const error = new Error(message);
  error.name = name;
  if (stack !== undefined) error.stack = stack;
  return error;
}
