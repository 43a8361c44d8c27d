import { seal, unseal, type Encryption } from "./encryption.ts";
import type { ByteRange, ObjectInfo, ObjectStorage, RequestOptions } from "./storage.ts";

/** Objects that are encrypted where they lie. A range costs the whole object; sizes told by `head` and `list` are those stored. */
export class EncryptedStorage implements ObjectStorage {
  readonly description: string;
  readonly limits: ObjectStorage["limits"];
  readonly #inner: ObjectStorage;
  readonly #encryption: Encryption;

  constructor(inner: ObjectStorage, encryption: Encryption) {
    this.limits = { ...inner.limits, rangeReads: false, cheapRequests: false };
    this.#inner = inner;
    this.#encryption = encryption;
    this.description = inner.description;
  }

  prepare(): Promise<void> {
    return this.#inner.prepare();
  }
  put(key: string, parts: readonly Uint8Array[], options?: RequestOptions): Promise<void> {
    return this.#inner.put(key, seal(this.#encryption, parts), options);
  }

  async get(
    key: string,
    into: Uint8Array,
    range?: ByteRange,
    options?: RequestOptions,
  ): Promise<number> {
    const room = range === undefined ? into.length + this.#encryption.overhead : undefined;
    const sealed = Buffer.allocUnsafe(room ?? (await this.#inner.head(key)).size);
    const length = await this.#inner.get(key, sealed, undefined, options);
    const plain = this.#open(key, sealed.subarray(0, length));
    const from = range?.offset ?? 0;
    const wanted = plain.subarray(from, range === undefined ? undefined : from + range.length);
    if (range === undefined && wanted.length > into.length) {
      throw new RangeError(
        `Cannot read object "${key}": it has ${wanted.length} bytes, room is for ${into.length}`,
      );
    }
    into.set(wanted.subarray(0, into.length));
    return Math.min(wanted.length, into.length);
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
  close(): Promise<void> {
    return this.#inner.close();
  }

  #open(key: string, sealed: Uint8Array): Buffer {
    try {
      return unseal(this.#encryption, sealed);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`Cannot read object "${key}": ${why}`, { cause });
    }
  }
}
