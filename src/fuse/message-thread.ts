import { Worker } from "node:worker_threads";
import type { PendingToken } from "../base/pending.ts";

const PROGRAM = new URL("notify-thread.ts", import.meta.url);

/** What goes to the thread: messages in the order they are written. */
export interface Batch {
  readonly number: number;
  readonly messages: readonly Uint8Array[];
}

/**
 * A thread that writes messages to the kernel which may have to wait for what is under way there: the answer may have to
 * come from the event loop of this one.
 */
export class MessageThread {
  readonly #fd: number;
  readonly #written: (tokens: readonly PendingToken[]) => void;
  #worker: Worker | undefined;
  #running = false;
  readonly #begin: NodeJS.Timeout;
  #messages: Uint8Array[] = [];
  #tokens: PendingToken[] = [];
  readonly #underWay = new Map<number, PendingToken[]>();
  #last = 0;

  /** `written`: called with the tokens of messages when they were written. `beginMs`: it begins then, or with the first message. */
  constructor(fd: number, beginMs: number, written: (tokens: readonly PendingToken[]) => void) {
    this.#fd = fd;
    this.#written = written;
    this.#begin = setTimeout(() => {
      this.#worker ??= this.#start();
    }, beginMs).unref();
  }

  /** False while it has yet to begin. */
  get isRunning(): boolean {
    return this.#running;
  }

  /** Messages of one turn of the event loop travel together. */
  post(messages: readonly Uint8Array[], token: PendingToken): void {
    if (this.#tokens.length === 0) {
      queueMicrotask(() => {
        this.#send();
      });
    }
    this.#messages.push(...messages);
    this.#tokens.push(token);
  }

  async close(): Promise<void> {
    clearTimeout(this.#begin);
    await this.#worker?.terminate();
  }

  #send(): void {
    const number = ++this.#last;
    this.#underWay.set(number, this.#tokens);
    const batch: Batch = { number, messages: this.#messages };
    this.#tokens = [];
    this.#messages = [];
    this.#worker ??= this.#start();
    this.#worker.postMessage(batch);
  }

  #start(): Worker {
    const worker = new Worker(PROGRAM, { workerData: { fd: this.#fd } });
    worker.on("message", (number: number) => {
      this.#ended(number);
    });
    worker.on("online", () => {
      this.#running = true;
    });
    worker.on("exit", () => {
      for (const number of this.#underWay.keys()) this.#ended(number);
    });
    worker.unref();
    return worker;
  }

  #ended(number: number): void {
    const tokens = this.#underWay.get(number);
    this.#underWay.delete(number);
    if (tokens !== undefined) this.#written(tokens);
  }
}
