import { LRUCache } from "lru-cache";

/**
 * A cache of at most `max` entries that takes memory as it fills. One that is told its `max` takes all of it at once, which for
 * hundreds of thousands of entries takes many milliseconds: who waits for a process to start would wait for that.
 */
export function growingCache<K extends {}, V extends {}>(max: number): LRUCache<K, V> {
  return new LRUCache<K, V>({ maxSize: max, sizeCalculation: () => 1 });
}
