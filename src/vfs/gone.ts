import { LRUCache } from "lru-cache";
import type { Attr, Ino } from "../meta/types.ts";

/**
 * The last attributes of what was removed here for good. Who stands in a removed directory, or has a removed fifo or
 * device open, may still ask for them; nobody tells this mount of such openings.
 */
const MAX = 10_000;

export class Gone {
  readonly #attrs = new LRUCache<Ino, Attr>({ max: MAX });

  removed(ino: Ino, attr: Attr): void {
    this.#attrs.set(ino, { ...attr, nlink: 0 });
  }

  attr(ino: Ino): Attr | undefined {
    return this.#attrs.get(ino);
  }
}
