import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { LRUCache } from "lru-cache";

/**
 * Puts names on disk. Whoever asks while a folder is being synced joins the next sync of it, so many changes at once cost
 * two syncs, not as many.
 */
export class FolderSync {
  readonly #folders = new Map<
    string,
    { running: Promise<void>; next: Promise<void> | undefined }
  >();

  /** Settles when what was renamed, made or removed in the folder before is on disk. */
  sync(folder: string): Promise<void> {
    const known = this.#folders.get(folder);
    if (known === undefined) return this.#start(folder);
    known.next ??= known.running.then(
      () => this.#start(folder),
      () => this.#start(folder),
    );
    return known.next;
  }

  #start(folder: string): Promise<void> {
    const running = syncFolder(folder);
    const entry = { running, next: undefined };
    this.#folders.set(folder, entry);
    const ended = (): void => {
      if (this.#folders.get(folder) === entry && entry.next === undefined) {
        this.#folders.delete(folder);
      }
    };
    running.then(ended, ended);
    return running;
  }
}

async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, "r");
  await handle.sync();
}

const KNOWN_MAX = 10_000;

/** Puts what is new in folders below `root` on disk, and the folders' own names where these may be new too. */
export class DurableFolders {
  readonly #root: string;
  readonly #folders = new FolderSync();
  /** Folders whose names are on disk. */
  readonly #known = new LRUCache<string, true>({ max: KNOWN_MAX });

  constructor(root: string) {
    this.#root = root;
  }

  async sync(folder: string): Promise<void> {
    await this.#folders.sync(folder);
    for (let at = folder; at.length > this.#root.length && !this.#known.has(at); at = dirname(at)) {
      await this.#folders.sync(dirname(at));
      this.#known.set(at, true);
    }
  }
}
