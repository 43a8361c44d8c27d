import { LRUCache } from "lru-cache";
import type { Attr, Ino } from "../meta/types.ts";

/**
 * The last attributes of what was removed here for good. Who stands in a removed directory, or has a removed fifo or
 * device open, may still ask for them; nobody tells this mount of such openings.
 */
const MAX = 10_000;
/** How long the kernel takes at most to walk a path anew. */
const WALK_MS = 50;

export class Gone {
  readonly #attrs = new LRUCache<Ino, Attr>({ max: MAX });
  #walkedUntil = 0;

  removed(ino: Ino, attr: Attr): void {
    this.#attrs.set(ino, { ...attr, nlink: 0 });
  }

  /** The kernel was told that a path led to nothing: it walks it anew, once. What is kept of names may lead there again. */
  walkAnew(): void {
    this.#walkedUntil = performance.now() + WALK_MS;
  }

  get walkedAnew(): boolean {
    return performance.now() < this.#walkedUntil;
  }

  attr(ino: Ino): Attr | undefined {
    return this.#attrs.get(ino);
  }
}
