import { FsError } from "../base/fs-error.ts";
import { log } from "../base/log.ts";

/**
 * What must be done at the server although nobody waits for it any more, such as giving back a lock whose holder is gone: where
 * the server does not answer, it is tried again until it does. The session's end does the rest.
 */

const AGAIN_MS = 3000;

interface Debt {
  readonly work: () => Promise<void>;
  running?: Promise<void> | undefined;
}

export class Owed {
  readonly #debts = new Map<string, Debt>();
  #timer: NodeJS.Timeout | undefined;

  /**
   * Does something now, or later where the server does not answer. `key`: the same for the same work.
   *
   * @throws FsError what it failed with now; with EIO it is done later
   */
  async do(key: string, work: () => Promise<void>): Promise<void> {
    const debt = this.#debts.get(key) ?? { work };
    try {
      await this.#run(key, debt);
    } catch (error) {
      if (isUnanswered(error)) this.#owe(key, debt);
      throw error;
    }
  }

  /**
   * To be waited for before anything is done that the work would undo.
   *
   * @throws FsError where it cannot be done yet
   */
  settle(key: string): Promise<void> | undefined {
    const debt = this.#debts.get(key);
    return debt === undefined ? undefined : this.do(key, debt.work);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#debts.clear();
  }

  /** Once at a time. */
  #run(key: string, debt: Debt): Promise<void> {
    const begin = async (): Promise<void> => {
      try {
        await debt.work();
        this.#debts.delete(key);
      } finally {
        debt.running = undefined;
      }
    };
    debt.running ??= begin();
    return debt.running;
  }

  #owe(key: string, debt: Debt): void {
    if (this.#debts.size === 0) log.warn({ key }, "the server does not answer, this is done later");
    this.#debts.set(key, debt);
    this.#timer ??= setInterval(() => {
      this.#again();
    }, AGAIN_MS).unref();
  }

  #again(): void {
    for (const [key, debt] of this.#debts) {
      this.#run(key, debt).catch((error: unknown) => {
        // What is refused now will be refused later too.
        if (!isUnanswered(error)) this.#debts.delete(key);
      });
    }
    if (this.#debts.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

function isUnanswered(error: unknown): boolean {
  return error instanceof FsError && error.code === "EIO";
}
