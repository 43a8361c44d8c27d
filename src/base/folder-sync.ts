import { open, stat } from "node:fs/promises";
import { dirname, normalize, resolve } from "node:path";
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

/** Puts the names in a folder on disk. */
export async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, "r");
  await handle.sync();
}

/** A folder above that may not be opened, or has nothing to sync, is not ours: its names were there before. */
const NOT_OURS = new Set(["EACCES", "EPERM", "EINVAL"]);

/**
 * Puts a folder's own name on disk, and those of all folders above it on the same file system: they may have been made a moment
 * ago, by whoever it was.
 */
export async function syncNameOf(
  folder: string,
  sync: (folder: string) => Promise<void> = syncFolder,
): Promise<void> {
  const { dev } = await stat(folder);
  for (let at = dirname(resolve(folder)); ; at = dirname(at)) {
    if ((await stat(at)).dev !== dev) return;
    await sync(at).catch((error: unknown) => {
      if (!NOT_OURS.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
    });
    if (at === dirname(at)) return;
  }
}

const KNOWN_MAX = 10_000;

/** Puts what is new in `root` and folders below it on disk, and the folders' own names where these may be new too. */
export class DurableFolders {
  readonly #root: string;
  readonly #folders = new FolderSync();
  /** Folders whose names are on disk, and those of all above them. */
  readonly #known = new LRUCache<string, true>({ max: KNOWN_MAX });

  constructor(root: string) {
    this.#root = normalize(root);
  }

  async sync(folder: string): Promise<void> {
    await this.#folders.sync(folder);
    const synced: string[] = [];
    for (let at = folder; !this.#known.has(at); at = dirname(at)) {
      synced.push(at);
      if (at.length <= this.#root.length) {
        await syncNameOf(at, (above) => this.#folders.sync(above));
        break;
      }
      await this.#folders.sync(dirname(at));
    }
    // Not before all are: whoever finds one known looks no further up.
    for (const at of synced) this.#known.set(at, true);
  }

  /** Folders were made anew, from `first` down to `folder`: their names are not on disk, whatever was known of them. */
  made(first: string, folder: string): void {
    for (let at = folder; at.length >= first.length; at = dirname(at)) this.#known.delete(at);
  }
}
