import { openSync, readSync } from "node:fs";
import { availableParallelism } from "node:os";

/**
 * How many tasks of the machine want a processor, itself among them, on average over the last moments. Asked for as often as
 * one likes: the kernel is looked at now and then only.
 */

const FILE = "/proc/loadavg";
const EVERY_MS = 20;
/** Samples that count. */
const MEMORY = 16;

export class RunQueue {
  readonly #fd: number | undefined = open();
  readonly #bytes = Buffer.alloc(64);
  #sampledAt = -Infinity;
  #average = 1;

  /** True while every task that wants a processor has one, and the machine has more than one. */
  get hasRoom(): boolean {
    const processors = availableProcessors;
    return this.#fd !== undefined && processors > 1 && this.average < processors + 0.5;
  }

  get average(): number {
    const now = performance.now();
    if (this.#fd === undefined || now - this.#sampledAt < EVERY_MS) return this.#average;
    this.#sampledAt = now;
    const length = readSync(this.#fd, this.#bytes, 0, this.#bytes.length, 0);
    this.#average += (runnable(this.#bytes.toString("latin1", 0, length)) - this.#average) / MEMORY;
    return this.#average;
  }
}

const availableProcessors = availableParallelism();

/** Of `0.04 0.10 0.08 2/312 1234`: 2. */
export function runnable(loadavg: string): number {
  return Number(/ (\d+)\/\d+ /.exec(loadavg)?.[1] ?? 1);
}

function open(): number | undefined {
  try {
    return openSync(FILE, "r");
  } catch {
    return undefined;
  }
}
