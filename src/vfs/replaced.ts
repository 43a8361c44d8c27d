import { LRUCache } from "lru-cache";
import type { Ino } from "../meta/types.ts";

/**
 * Files of which others took a name away a moment ago. The kernel may have come by that name when it opens one of them: it is
 * sent to walk the path anew, which it does once for an open.
 */

const MAX = 1000;
/** The kernel was told of the name long before that. */
const MOMENT_MS = 1000;
/** How long it takes at most from a walk to the open at its end. */
const WALK_MS = 50;

export class Replaced {
  readonly #inodes = new LRUCache<Ino, true>({ max: MAX, ttl: MOMENT_MS });
  /** Threads that were sent, by their number. */
  readonly #walking = new LRUCache<number, true>({ max: MAX, ttl: WALK_MS });

  /** Others made a name lead elsewhere that led to it. */
  note(ino: Ino): void {
    this.#inodes.set(ino, true);
  }

  /** The server said that a name leads to it. */
  found(ino: Ino): void {
    if (this.#inodes.size > 0) this.#inodes.delete(ino);
  }

  /** Whether a thread that opens the inode has to walk its path anew; it is sent once. */
  sends(ino: Ino, thread: number): boolean {
    const walked = this.#walking.has(thread);
    this.#walking.delete(thread);
    if (walked || !this.#inodes.has(ino)) return false;
    this.#walking.set(thread, true);
    return true;
  }
}
