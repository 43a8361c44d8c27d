/** A measurement with a shape of its own, beside the table of works. */
export interface Extra {
  /** For `--only`. */
  readonly name: string;
  readonly title: string;
  readonly measure: (options: ExtraOptions) => Promise<ExtraResult>;
}

export interface ExtraOptions {
  readonly rounds: number;
  readonly quick: boolean;
  /** How many worker threads our client is to have, one measurement each. */
  readonly threads: readonly number[];
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

export interface ExtraResult {
  /** The first row is the head. */
  readonly rows: readonly (readonly string[])[];
  /** What the rows mean. */
  readonly note: string;
  /** Everything measured. */
  readonly data: unknown;
}
