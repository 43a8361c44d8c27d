/**
 * Where blocks lie: keys and bytes. Keys are ASCII with slashes and without a leading one. Objects are
 * written once and never changed; a retry may put the same bytes again.
 *
 * Implementations retry nothing: who asks decides (`base/retry.ts`). Errors name the operation, the key and the cause.
 */
export interface ObjectStorage {
  /** For messages: `s3://host/bucket/`. Never with a secret. */
  readonly description: string;
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
  delete(key: string, options?: RequestOptions): Promise<void>;
  /** Removes what writers left half-written below `prefix` that died before that time. @returns how many */
  removeAbandoned(before: Date, prefix?: string): Promise<number>;
  /** The file of this machine that holds an object just as it was put; absent where objects are no such files. */
  localPath?(key: string): string | undefined;
  close(): Promise<void>;
}

export interface StorageLimits {
  /** False where a range costs the whole object (encrypted). */
  readonly rangeReads: boolean;
  /** More writes at once would only wait for each other, each with its bytes in memory. */
  readonly writesAtOnce?: number;
  /** A request costs little processor time besides that for its bytes. */
  readonly cheapRequests?: boolean;
}

export interface ByteRange {
  /** Bytes from the object's start. */
  readonly offset: number;
  readonly length: number;
}

export interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  /** Of the request itself: waiting for a limit of bandwidth does not count. */
  readonly timeoutMs?: number | undefined;
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

/** Ends a request when it takes too long, or when the caller says so. */
export function signalOf({ signal, timeoutMs }: RequestOptions): AbortSignal | undefined {
  if (timeoutMs === undefined) return signal;
  const timeout = AbortSignal.timeout(timeoutMs);
  return signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
}

/** What an object is stored with, where the store knows such things. */
export interface PutSettings {
  readonly storageClass: string;
  /** `key=value`, or empty. */
  readonly tag: string;
}

/** The failure of a request, with operation, key and cause; what says that already stays as it is. */
export function failure(action: string, key: string, cause: unknown): Error {
  if (cause instanceof Error && cause.message.includes(key)) return cause;
  return new Error(`Cannot ${action} object "${key}": ${reasonOf(cause)}`, { cause });
}

/** The words of an error that tell most. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return "no answer in time";
  // Who gave up says why.
  if (error.name === "AbortError" && error.cause !== undefined) return reasonOf(error.cause);
  // Several addresses were tried: each failed on its own.
  const first = error instanceof AggregateError ? (error.errors[0] as unknown) : undefined;
  if (first instanceof Error) return reasonOf(first);
  const { code, message } = error as NodeJS.ErrnoException;
  if (message === "") return code ?? error.name;
  // Of an answer without a body the SDK knows the status only.
  const { $metadata } = error as { $metadata?: { httpStatusCode?: number } };
  return message === "UnknownError" ? `status ${$metadata?.httpStatusCode}` : message;
}
