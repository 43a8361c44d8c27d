import type { ByteRange, ObjectInfo, ObjectStorage, RequestOptions } from "./storage.ts";

/** Many buckets that share a volume's objects by a hash of their keys (JuiceFS pkg/object/sharding.go, 1.4). */
export class ShardedStorage implements ObjectStorage {
  readonly description: string;
  readonly limits: ObjectStorage["limits"];
  readonly #shards: readonly [ObjectStorage, ...ObjectStorage[]];

  constructor(shards: readonly [ObjectStorage, ...ObjectStorage[]]) {
    this.#shards = shards;
    this.limits = shards[0].limits;
    this.description = `${shards[0].description} and ${shards.length - 1} more`;
  }

  async prepare(): Promise<void> {
    for (const shard of this.#shards) await shard.prepare();
  }
  async put(key: string, parts: readonly Uint8Array[], options?: RequestOptions): Promise<void> {
    await this.#of(key).put(key, parts, options);
  }
  async get(
    key: string,
    into: Uint8Array,
    range?: ByteRange,
    options?: RequestOptions,
  ): Promise<number> {
    return this.#of(key).get(key, into, range, options);
  }
  async head(key: string): Promise<ObjectInfo> {
    return this.#of(key).head(key);
  }
  list(prefix: string): AsyncIterable<ObjectInfo> {
    return mergeByKey(this.#shards.map((shard) => shard.list(prefix)));
  }
  async delete(key: string, options?: RequestOptions): Promise<void> {
    await this.#of(key).delete(key, options);
  }
  async removeAbandoned(before: Date, prefix?: string): Promise<number> {
    const removed = await Promise.all(
      this.#shards.map((shard) => shard.removeAbandoned(before, prefix)),
    );
    return removed.reduce((sum, count) => sum + count, 0);
  }
  localPath(key: string): string | undefined {
    return this.#of(key).localPath?.(key);
  }
  async close(): Promise<void> {
    await Promise.all(this.#shards.map((shard) => shard.close()));
  }

  #of(key: string): ObjectStorage {
    return this.#shards[shardOf(key, this.#shards.length)] ?? this.#shards[0];
  }
}

/** FNV-1a of 32 bits, modulo the number of shards. */
export function shardOf(key: string, shards: number): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(key)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0) % shards;
}

/**
 * The names of `shards` buckets from one with a number in it, such as `http://host/data-%d`.
 *
 * @throws Error when there is no place for the number, or more than one
 */
export function shardBuckets(bucket: string, shards: number): string[] {
  const verb = /%(0?)(\d*)d/g;
  if ([...bucket.matchAll(verb)].length !== 1) {
    throw new Error(
      `Cannot spread bucket "${bucket}" over ${shards} shards: it needs one %d, such as http://host:9000/data-%d`,
    );
  }
  return Array.from({ length: shards }, (_, shard) =>
    bucket.replace(verb, (_whole, zero: string, width: string) =>
      String(shard).padStart(Number(width), zero === "" ? " " : "0"),
    ),
  );
}

/** Several listings as one, in the order of keys where each of them is. */
async function* mergeByKey(lists: readonly AsyncIterable<ObjectInfo>[]): AsyncIterable<ObjectInfo> {
  const iterators = lists.map((list) => list[Symbol.asyncIterator]());
  try {
    const heads = await Promise.all(
      iterators.map(async (iterator) => ({ iterator, next: await iterator.next() })),
    );
    for (;;) {
      const left = heads.filter(({ next }) => next.done !== true);
      if (left.length === 0) return;
      const first = left.reduce((best, one) => (keyOf(one) < keyOf(best) ? one : best));
      yield first.next.value as ObjectInfo;
      first.next = await first.iterator.next();
    }
  } finally {
    for (const iterator of iterators) await iterator.return?.();
  }
}

function keyOf({ next }: { next: IteratorResult<ObjectInfo> }): string {
  return (next.value as ObjectInfo).key;
}
