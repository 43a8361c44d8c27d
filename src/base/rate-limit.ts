import { setTimeout as sleep } from "node:timers/promises";

/**
 * Holds a stream of bytes to a rate, in all threads of a process that are given its memory: whoever takes bytes moves the
 * time at which the next ones may go on. What was not used for a tenth of a second is lost.
 */

const RATE = 0;
const FREE_AT = 1;
const BURST_NS = 100_000_000n;
const SECOND_NS = 1_000_000_000n;

export class RateLimit {
  /** To be handed to another thread, which makes its own `RateLimit` of it. */
  readonly memory: SharedArrayBuffer;
  readonly #words: BigInt64Array;

  /** `memory`: that of another thread's. */
  constructor(bytesPerSecond: number, memory = new SharedArrayBuffer(16)) {
    this.memory = memory;
    this.#words = new BigInt64Array(memory);
    if (bytesPerSecond > 0) this.setRate(bytesPerSecond);
  }

  /** 0: no limit. */
  setRate(bytesPerSecond: number): void {
    Atomics.store(this.#words, RATE, BigInt(Math.floor(bytesPerSecond)));
  }

  /** Takes `bytes`; settles when they may go. */
  async take(bytes: number, signal?: AbortSignal): Promise<void> {
    const waitMs = this.reserve(bytes);
    if (waitMs > 0) await sleep(waitMs, undefined, { signal });
  }

  /** Gives back what was taken and not needed; less than nothing takes more, which later ones wait for. */
  giveBack(bytes: number): void {
    this.reserve(-bytes);
  }

  /** Takes `bytes`. @returns milliseconds until they may go; 0 or less: now */
  reserve(bytes: number): number {
    const rate = Atomics.load(this.#words, RATE);
    if (rate === 0n) return 0;
    const span = (BigInt(bytes) * SECOND_NS) / rate;
    for (;;) {
      const now = process.hrtime.bigint();
      const known = Atomics.load(this.#words, FREE_AT);
      const start = known < now - BURST_NS ? now - BURST_NS : known;
      const end = start + span;
      if (Atomics.compareExchange(this.#words, FREE_AT, known, end) === known) {
        return Number(end - now) / 1e6;
      }
    }
  }
}
