import { close, fstat, open } from "node:fs";
import { promisify } from "node:util";
import { LRUCache } from "lru-cache";
import type { OpenBlock } from "./block-file.ts";

/** Files of blocks that stay open for a while: who reads small parts of a block reads it often. */

interface Held extends OpenBlock {
  users: number;
  dropped: boolean;
}

const openFile = promisify(open);
const statFile = promisify(fstat);

export class OpenBlocks {
  readonly #files: LRUCache<string, Held>;

  constructor(most: number) {
    this.#files = new LRUCache({
      max: most,
      dispose: (held) => {
        held.dropped = true;
        closeUnused(held);
      },
    });
  }

  /** Works with the file of a block of `length` bytes. @throws what open(2) fails with */
  async use<T>(path: string, length: number, work: (file: OpenBlock) => Promise<T>): Promise<T> {
    const held = this.#known(path) ?? (await this.#open(path, length));
    try {
      return await work(held);
    } finally {
      held.users--;
      closeUnused(held);
    }
  }

  /** The file is gone, or about to go. */
  drop(path: string): void {
    this.#files.delete(path);
  }

  close(): void {
    this.#files.clear();
  }

  #known(path: string): Held | undefined {
    const held = this.#files.get(path);
    if (held !== undefined) held.users++;
    return held;
  }

  async #open(path: string, length: number): Promise<Held> {
    const fd = await openFile(path, "r");
    const { size } = await statFile(fd);
    // Used from now on: whoever drops it before it is read must not close it.
    const held: Held = { fd, fileSize: size, length, users: 1, dropped: false };
    this.#files.set(path, held);
    return held;
  }
}

function closeUnused(held: Held): void {
  if (held.dropped && held.users === 0) {
    held.users = -1;
    close(held.fd, () => undefined);
  }
}
