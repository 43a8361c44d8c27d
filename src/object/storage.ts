/**
 * Where blocks lie: keys and bytes. Keys are ASCII with slashes and without a leading one. Objects are
 * written once and never changed; a retry may put the same bytes again.
 *
 * Implementations retry nothing: who asks decides (`base/retry.ts`). Errors name the operation, the key and the cause.
 */
export interface ObjectStorage {
  /** For messages: `s3://bucket at http://host/`. Never with a secret. */
  readonly description: string;
  /** Bytes an empty put costs here and how much may be asked at once, for callers that plan requests. */
  readonly limits: StorageLimits;

  /** Makes the bucket or folder when it is missing. */
  prepare(): Promise<void>;
  /** Stores the concatenation of `parts`. They must stay untouched until it settles. */
  put(key: string, parts: readonly Uint8Array[], options?: RequestOptions): Promise<void>;
  /**
   * Reads `range`, or the whole object, into `into` from its start.
   *
   * @returns how many bytes there were; fewer than asked for where the object ends
   * @throws ObjectMissing when there is no such object; RangeError when `into` is too small for it
   */
  get(key: string, into: Uint8Array, range?: ByteRange, options?: RequestOptions): Promise<number>;
  /** @throws ObjectMissing */
  head(key: string): Promise<ObjectInfo>;
  /** Objects whose key starts with `prefix`, in the order of keys where the store has one. */
  list(prefix: string): AsyncIterable<ObjectInfo>;
  /** Deletes the object; one that is missing is deleted already. */
  delete(key: string): Promise<void>;
  close(): Promise<void>;
}

export interface StorageLimits {
  /** False where a range costs the whole object (encrypted). */
  readonly rangeReads: boolean;
}

export interface ByteRange {
  /** Bytes from the object's start. */
  readonly offset: number;
  readonly length: number;
}

export interface RequestOptions {
  readonly signal?: AbortSignal;
}

export interface ObjectInfo {
  readonly key: string;
  /** Bytes as stored. */
  readonly size: number;
  readonly modified: Date;
}

export class ObjectMissing extends Error {
  override readonly name = "ObjectMissing";

  constructor(key: string, options?: ErrorOptions) {
    super(`Cannot read object "${key}": it does not exist`, options);
  }
}
