import type { CommitOutcome, SliceCommit } from "../meta/types.ts";

interface Waiting {
  readonly commit: SliceCommit;
  readonly resolve: (outcome: CommitOutcome) => void;
}

/** Records in one script at most: the server does nothing else meanwhile. */
const BATCH_MAX = 500;

/**
 * Commits slices of any files in batches: while one script is under way, what comes joins the next. Nothing waits when
 * nothing is under way. Records of one file stay in the order given.
 */
export class Committer {
  readonly #send: (commits: readonly SliceCommit[]) => Promise<CommitOutcome[]>;
  #waiting: Waiting[] = [];
  #busy = false;

  constructor(send: (commits: readonly SliceCommit[]) => Promise<CommitOutcome[]>) {
    this.#send = send;
  }

  /** Never rejects: a failure is the outcome. */
  commit(commit: SliceCommit): Promise<CommitOutcome> {
    return new Promise((resolve) => {
      this.#waiting.push({ commit, resolve });
      if (!this.#busy) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#busy = true;
    // What is ready in the same turn of the event loop travels together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH_MAX);
      const outcomes = await this.#outcomes(batch);
      for (const [at, { resolve }] of batch.entries()) {
        resolve(outcomes[at] ?? { error: new Error("The server told no outcome") });
      }
    }
    this.#busy = false;
  }

  async #outcomes(batch: readonly Waiting[]): Promise<CommitOutcome[]> {
    try {
      return await this.#send(batch.map(({ commit }) => commit));
    } catch (error) {
      const failed = error instanceof Error ? error : new Error(String(error));
      return batch.map(() => ({ error: failed }));
    }
  }
}
