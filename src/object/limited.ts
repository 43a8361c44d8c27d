import type { RateLimit } from "../base/rate-limit.ts";
import type { ByteRange, ObjectInfo, ObjectStorage, RequestOptions } from "./storage.ts";

/** A storage whose puts and gets are held to a rate; what is measured are the bytes as they are stored. */
export class LimitedStorage implements ObjectStorage {
  readonly description: string;
  readonly limits: ObjectStorage["limits"];
  readonly #inner: ObjectStorage;
  readonly #up: RateLimit;
  readonly #down: RateLimit;

  constructor(inner: ObjectStorage, { up, down }: { up: RateLimit; down: RateLimit }) {
    this.#inner = inner;
    this.#up = up;
    this.#down = down;
    this.description = inner.description;
    this.limits = inner.limits;
  }

  prepare(): Promise<void> {
    return this.#inner.prepare();
  }
  async put(key: string, parts: readonly Uint8Array[], options?: RequestOptions): Promise<void> {
    await this.#up.take(
      parts.reduce((sum, part) => sum + part.length, 0),
      options?.signal,
    );
    await this.#inner.put(key, parts, options);
  }
  async get(
    key: string,
    into: Uint8Array,
    range?: ByteRange,
    options?: RequestOptions,
  ): Promise<number> {
    const expected = Math.min(range?.length ?? into.length, into.length);
    await this.#down.take(expected, options?.signal);
    let got = 0;
    try {
      got = await this.#inner.get(key, into, range, options);
      return got;
    } finally {
      this.#down.giveBack(expected - got);
    }
  }
  head(key: string): Promise<ObjectInfo> {
    return this.#inner.head(key);
  }
  list(prefix: string): AsyncIterable<ObjectInfo> {
    return this.#inner.list(prefix);
  }
  delete(key: string, options?: RequestOptions): Promise<void> {
    return this.#inner.delete(key, options);
  }
  removeAbandoned(before: Date, prefix?: string): Promise<number> {
    return this.#inner.removeAbandoned(before, prefix);
  }
  localPath(key: string): string | undefined {
    return this.#inner.localPath?.(key);
  }
  close(): Promise<void> {
    return this.#inner.close();
  }
}
