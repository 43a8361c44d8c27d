import type { ByteRange, ObjectInfo, ObjectStorage, RequestOptions } from "./storage.ts";

/** The part of a storage whose keys begin with `prefix`: a volume's own. */
export class PrefixedStorage implements ObjectStorage {
  readonly description: string;
  readonly limits: ObjectStorage["limits"];
  readonly #inner: ObjectStorage;
  readonly #prefix: string;

  constructor(inner: ObjectStorage, prefix: string) {
    this.#inner = inner;
    this.#prefix = prefix;
    this.description = `${inner.description.replace(/\/$/, "")}/${prefix}`;
    this.limits = inner.limits;
  }

  prepare(): Promise<void> {
    return this.#inner.prepare();
  }
  put(key: string, parts: readonly Uint8Array[], options?: RequestOptions): Promise<void> {
    return this.#inner.put(this.#prefix + key, parts, options);
  }
  get(key: string, into: Uint8Array, range?: ByteRange, options?: RequestOptions): Promise<number> {
    return this.#inner.get(this.#prefix + key, into, range, options);
  }
  async head(key: string): Promise<ObjectInfo> {
    return { ...(await this.#inner.head(this.#prefix + key)), key };
  }
  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    for await (const info of this.#inner.list(this.#prefix + prefix)) {
      yield { ...info, key: info.key.slice(this.#prefix.length) };
    }
  }
  delete(key: string, options?: RequestOptions): Promise<void> {
    return this.#inner.delete(this.#prefix + key, options);
  }
  removeAbandoned(before: Date, prefix = ""): Promise<number> {
    return this.#inner.removeAbandoned(before, this.#prefix + prefix);
  }
  localPath(key: string): string | undefined {
    return this.#inner.localPath?.(this.#prefix + key);
  }
  close(): Promise<void> {
    return this.#inner.close();
  }
}
