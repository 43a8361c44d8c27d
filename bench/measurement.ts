import type { RedisCounts } from "./counters/redis.ts";
import type { S3Counts } from "./counters/s3.ts";

/** One work on one target in one round. */
export interface Measurement {
  readonly work: string;
  readonly target: string;
  readonly round: number;
  readonly operations: number;
  readonly seconds: number;
  /** Of the serving processes, until they were idle again. */
  readonly cpuSeconds: number;
  /** Their greatest resident memory meanwhile. */
  readonly peakBytes: number;
  readonly redis?: RedisCounts | undefined;
  readonly s3?: S3Counts | undefined;
}

export function rate({ operations, seconds }: Measurement): number {
  return operations / seconds;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle)] ?? NaN)) / 2;
}
