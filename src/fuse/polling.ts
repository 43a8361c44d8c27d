/**
 * Looks again and again for what comes next, for a moment, instead of going to sleep. Where the processor sleeps too, waking it
 * takes longer than Redis needs for most answers, and a program that works on names waits for that several times an
 * operation. Where looking does not pay it is left: what comes too late is counted, and it is only tried now and then.
 */

/** How long the next request is waited for after an answer, and an answer after a request, in milliseconds. */
const NEXT_MS = 0.05;
const ANSWER_MS = 0.2;
/** Of the last times: so many must have paid. */
const WORTH = 0.5;
const MEMORY = 16;
/** Otherwise it is tried once in so many. */
const RARELY = 64;

export class Polling {
  readonly #allowed: () => boolean;
  #until = 0;
  #looking = false;
  #paid = 1;
  #skipped = 0;

  /** `allowed`: false while others need the processors for what is waited for. */
  constructor(allowed: () => boolean) {
    this.#allowed = allowed;
  }

  /** Whether it looks now, rather than sleeping. */
  get looking(): boolean {
    return this.#looking;
  }

  /** A request came that cannot be answered at once. */
  awaitAnswer(): void {
    this.#look(ANSWER_MS);
  }

  /** A request was answered. */
  awaitNext(): void {
    this.#look(NEXT_MS);
  }

  #look(forMs: number): void {
    if (this.#looking) {
      this.#learn(1);
      this.#until = performance.now() + forMs;
      return;
    }
    if (!this.#allowed()) return;
    if (this.#paid < WORTH && ++this.#skipped % RARELY !== 0) return;
    this.#until = performance.now() + forMs;
    this.#looking = true;
    setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    if (performance.now() < this.#until && this.#allowed()) {
      setImmediate(this.#turn);
      return;
    }
    this.#looking = false;
    this.#learn(0);
  };

  #learn(paid: 0 | 1): void {
    this.#paid += (paid - this.#paid) / MEMORY;
  }
}
