/**
 * What lies in a cache folder, and which of it goes first. Costs some tens of bytes a block beside its key.
 */

export const EVICTIONS = ["2-random", "none", "lru"] as const;
export type Eviction = (typeof EVICTIONS)[number];

/** A block is counted with this much more than its bytes. */
export const FILE_BYTES = 4096;

export interface CachedFile {
  readonly key: string;
  readonly size: number;
  /** When it was used last, in seconds. */
  readonly usedAt: number;
}

export class CacheIndex {
  /** Where each key stands in the lists. */
  readonly #places = new Map<string, number>();
  readonly #keys: string[] = [];
  readonly #sizes: number[] = [];
  readonly #usedAt: number[] = [];
  /** Blocks that are not stored anywhere else: never evicted, not counted. */
  readonly #kept = new Map<string, number>();
  readonly #eviction: Eviction;
  #bytes = 0;

  constructor(eviction: Eviction) {
    this.#eviction = eviction;
  }

  /** Files that may be evicted. */
  get count(): number {
    return this.#keys.length;
  }

  /** Bytes they are counted with. */
  get bytes(): number {
    return this.#bytes;
  }

  has(key: string): boolean {
    return this.#places.has(key) || this.#kept.has(key);
  }

  add(key: string, size: number, usedAt: number): void {
    if (this.#kept.has(key)) return;
    const known = this.#places.get(key);
    if (known !== undefined) {
      this.#usedAt[known] = Math.max(this.#usedAt[known] ?? 0, usedAt);
      return;
    }
    this.#places.set(key, this.#keys.length);
    this.#keys.push(key);
    this.#sizes.push(size);
    this.#usedAt.push(usedAt);
    this.#bytes += size + FILE_BYTES;
  }

  /** It must stay until it is stored somewhere else. */
  keep(key: string, size: number): void {
    this.remove(key);
    this.#kept.set(key, size);
  }

  /** It is stored somewhere else now. */
  release(key: string, usedAt: number): void {
    const size = this.#kept.get(key);
    if (size === undefined) return;
    this.#kept.delete(key);
    this.add(key, size, usedAt);
  }

  touch(key: string, usedAt: number): void {
    const place = this.#places.get(key);
    if (place === undefined) return;
    if (this.#eviction !== "lru") {
      this.#usedAt[place] = usedAt;
      return;
    }
    const size = this.#sizes[place] ?? 0;
    this.remove(key);
    this.add(key, size, usedAt);
  }

  remove(key: string): void {
    this.#kept.delete(key);
    const place = this.#places.get(key);
    if (place === undefined) return;
    this.#bytes -= (this.#sizes[place] ?? 0) + FILE_BYTES;
    this.#places.delete(key);
    const [lastKey, lastSize, lastUsedAt] = [
      this.#keys.pop(),
      this.#sizes.pop(),
      this.#usedAt.pop(),
    ];
    if (lastKey === undefined || lastKey === key) return;
    this.#keys[place] = lastKey;
    this.#sizes[place] = lastSize ?? 0;
    this.#usedAt[place] = lastUsedAt ?? 0;
    // The order of the map is the order of use where that matters: the last one keeps its turn.
    this.#places.set(lastKey, place);
  }

  /** What is to go next; it is forgotten here. */
  takeVictim(): CachedFile | undefined {
    const place = this.#eviction === "lru" ? this.#oldest() : this.#olderOfTwo();
    if (place === undefined) return undefined;
    return this.#take(place);
  }

  /** Takes those that were not used since `before`, at most so many. */
  takeExpired(before: number, most: number): CachedFile[] {
    const expired: CachedFile[] = [];
    for (let place = this.#keys.length - 1; place >= 0 && expired.length < most; place--) {
      if ((this.#usedAt[place] ?? 0) >= before) continue;
      const victim = this.#take(place);
      if (victim !== undefined) expired.push(victim);
    }
    return expired;
  }

  /** Forgets what `seen` does not know; kept ones stay. */
  forgetUnseen(seen: ReadonlySet<string>): void {
    for (let place = this.#keys.length - 1; place >= 0; place--) {
      const key = this.#keys[place];
      if (key !== undefined && !seen.has(key)) this.remove(key);
    }
  }

  clear(): void {
    this.#places.clear();
    this.#kept.clear();
    this.#keys.length = 0;
    this.#sizes.length = 0;
    this.#usedAt.length = 0;
    this.#bytes = 0;
  }

  #take(place: number): CachedFile | undefined {
    const key = this.#keys[place];
    if (key === undefined) return undefined;
    const victim = { key, size: this.#sizes[place] ?? 0, usedAt: this.#usedAt[place] ?? 0 };
    this.remove(key);
    return victim;
  }

  #oldest(): number | undefined {
    const [first] = this.#places.values();
    return first;
  }

  #olderOfTwo(): number | undefined {
    if (this.#keys.length === 0) return undefined;
    const one = Math.floor(Math.random() * this.#keys.length);
    const other = Math.floor(Math.random() * this.#keys.length);
    return (this.#usedAt[one] ?? 0) <= (this.#usedAt[other] ?? 0) ? one : other;
  }
}
