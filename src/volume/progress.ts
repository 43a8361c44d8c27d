/** How a job on a whole volume tells how far it is. */
export interface Progress {
  /** Begins to count something, such as "objects"; `total` where it is known. */
  count(what: string, total?: number): Counter;
}

export interface Counter {
  add(items?: number, bytes?: number): void;
  /** More is known about how many there will be. */
  expect(total: number): void;
  end(): void;
}

/** For callers that are told nothing. */
export const silent: Progress = {
  count: () => ({ add: () => undefined, expect: () => undefined, end: () => undefined }),
};

/** What every such job may be given. */
export interface JobOptions {
  readonly progress?: Progress | undefined;
  /** Ends the job between two pieces of work. */
  readonly signal?: AbortSignal | undefined;
}

/** A job that somebody follows, and can end. */
export interface FollowedJob extends JobOptions {
  readonly progress: Progress;
  readonly signal: AbortSignal;
}
