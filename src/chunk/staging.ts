import { stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DurableFolders } from "../base/folder-sync.ts";
import { log } from "../base/log.ts";
import { DamagedBlock, readBlock, type BlockRange } from "./block-file.ts";
import type { CacheFolder } from "./cache-folder.ts";
import { scanBlocks, sizeOfKey } from "./cache-scan.ts";
import type { DiskCache } from "./disk-cache.ts";
import { OpenBlocks } from "./open-blocks.ts";
import type { PendingUploads, StagedBlock, StagingTarget } from "./staged-block.ts";
import { isUploadHour, type UploadHours } from "./upload-hours.ts";

/**
 * Write-back: a block that is staged on a disk here counts as stored, and is uploaded later (JuiceFS pkg/chunk/cached_store.go,
 * 1.4). A staged file goes only when its object is there. What a process before left is uploaded too, whoever that was: another
 * mount of the volume with the same folder finds that its blocks are stored.
 */

export interface StagingOptions {
  /** False: nothing is staged, what is left of a process before is uploaded. */
  readonly writeback: boolean;
  /** Longer blocks are uploaded at once; 0: none is. */
  readonly thresholdBytes: number;
  readonly delayMs: number;
  readonly hours?: UploadHours | undefined;
  /** Blocks that are being written to disk at once. */
  readonly maxWrites: number;
  readonly maxUploads: number;
  /** Answers before the disk has the bytes. */
  readonly noSync: boolean;
}

interface Pending extends StagedBlock {
  readonly folder: CacheFolder;
  readonly since: number;
  /** Not before. */
  due: number;
  uploading: boolean;
  removed: boolean;
  /** It may be stored already: its upload has begun, here or in a process before. */
  tried: boolean;
  failures: number;
  /** Its file cannot be read: nobody waits for its upload. */
  unreadable: boolean;
}

const TRIES = 3;
const PAUSE_MS = 1000;
const LOOK_EVERY_MS = 1000;
/** After a failed upload a block waits so long, then twice as long, up to a limit. */
const AGAIN_MS = 5000;
const AGAIN_MAX_MS = 60_000;
const OPEN_MAX = 16;

export class Staging {
  readonly #cache: DiskCache;
  readonly #target: StagingTarget;
  readonly #options: StagingOptions;
  readonly #pending = new Map<string, Pending>();
  /** Being staged: perhaps once more, after a process before did so. */
  readonly #writing = new Set<string>();
  readonly #durable = new Map<CacheFolder, DurableFolders>();
  readonly #open = new OpenBlocks(OPEN_MAX);
  readonly #closing = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #bytes = 0;
  #uploads = 0;
  #hurry = false;
  #failure: string | undefined;
  #idle: (() => void)[] = [];
  #found: Promise<void> = Promise.resolve();
  #allFound = false;
  /** Stored while others were still looked for. */
  readonly #storedMeanwhile = new Set<string>();

  /** Finds what was left; uploads begin at once. */
  static open(cache: DiskCache, target: StagingTarget, options: StagingOptions): Staging {
    const staging = new Staging(cache, target, options);
    staging.#found = staging.#find();
    return staging;
  }

  private constructor(cache: DiskCache, target: StagingTarget, options: StagingOptions) {
    this.#cache = cache;
    this.#target = target;
    this.#options = options;
    for (const folder of cache.folders) {
      folder.onPressure = () => {
        this.#uploadEarly();
      };
      if (!options.noSync) this.#durable.set(folder, new DurableFolders(folder.place.path));
    }
    this.#timer = setInterval(() => {
      this.#startDue();
    }, LOOK_EVERY_MS).unref();
  }

  /**
   * Takes a block: the concatenation of `parts`, which must stay untouched until it settles. It is on disk then, if it was taken.
   * `again`: a process before may have stored it already.
   *
   * @returns false when it is to be uploaded by whoever asks: too long, no room, the disk is not well, or what a process before
   *   staged of it is on its way already and goes from the disk then
   */
  async stage(key: string, parts: readonly Uint8Array[], again = false): Promise<boolean> {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const folder = this.#folderFor(key, length);
    if (folder === undefined || this.#pending.get(key)?.uploading === true) return false;
    this.#writing.add(key);
    try {
      const durable = this.#durable.get(folder);
      if (!(await folder.stage(key, parts, length, durable))) return false;
      this.#add({ key, length, folder, since: Date.now(), tried: again });
    } finally {
      this.#writing.delete(key);
    }
    // The others are looked at once a second.
    if (this.#options.delayMs === 0) this.#startDue();
    return true;
  }

  /**
   * Reads a staged block, or a range of it, from where it is staged.
   *
   * @returns false when it is not staged here
   */
  async get(
    key: string,
    length: number,
    into: Uint8Array,
    range: BlockRange = { offset: 0, length },
  ): Promise<boolean> {
    const block = await this.#lookUp(key);
    if (block === undefined) return this.#getOfOthers(key, { range, length, into });
    try {
      await this.#read(block, range, into);
      return true;
    } catch (error) {
      log.error({ error, key }, "a staged block cannot be read");
      return false;
    }
  }

  /** Another mount of this machine may have staged it: nobody else has it then. */
  async #getOfOthers(
    key: string,
    { range, length, into }: { range: BlockRange; length: number; into: Uint8Array },
  ): Promise<boolean> {
    for (const folder of this.#cache.folders) {
      const found = await this.#read({ key, length, folder }, range, into).then(yes, no);
      // Nobody tells when it goes.
      this.#open.drop(join(folder.place.staging, key));
      if (found) return true;
    }
    return false;
  }

  has(key: string): boolean {
    return this.#pending.has(key);
  }

  /**
   * Its slice is deleted: it need not be uploaded any more. An upload that is under way ends before this settles.
   *
   * @returns false where an object of it may be there, for whoever asks to delete
   */
  async remove(key: string): Promise<boolean> {
    const block = await this.#lookUp(key);
    if (block === undefined) return false;
    block.removed = true;
    while (block.uploading) await this.#somethingEnds();
    try {
      const alone = await this.#forget(block);
      await block.folder.remove(key);
      return alone && !block.tried;
    } finally {
      // Where its file cannot be taken away it is uploaded after all: whoever asks will ask again.
      block.removed = false;
    }
  }

  pending(): PendingUploads {
    let oldest: number | undefined;
    for (const { since } of this.#pending.values()) oldest = Math.min(oldest ?? since, since);
    return { blocks: this.#pending.size, bytes: this.#bytes, oldest, failure: this.#failure };
  }

  /** Settles when everything staged so far by a process before is known. */
  async found(): Promise<void> {
    await this.#found;
  }

  /**
   * Uploads everything now, whatever the hour, until nothing is left or the signal aborts.
   *
   * @returns what is left
   */
  async drain(signal?: AbortSignal): Promise<PendingUploads> {
    await this.#found;
    this.#hurry = true;
    for (const block of this.#pending.values()) {
      block.due = 0;
      block.unreadable = false;
    }
    this.#startDue();
    const given = Promise.withResolvers<void>();
    signal?.addEventListener("abort", () => given.resolve(), { once: true });
    while (this.#pending.values().some(({ unreadable }) => !unreadable)) {
      if (signal?.aborted === true) break;
      await Promise.race([given.promise, this.#somethingEnds()]);
    }
    this.#hurry = false;
    return this.pending();
  }

  /** Stops uploading; what is left stays on disk for the next process. */
  async close(): Promise<PendingUploads> {
    clearInterval(this.#timer);
    this.#closing.abort();
    await this.#found.catch(() => undefined);
    while (this.#uploads > 0) await this.#somethingEnds();
    this.#open.close();
    return this.pending();
  }

  #folderFor(key: string, length: number): CacheFolder | undefined {
    const { writeback, thresholdBytes, maxWrites } = this.#options;
    if (!writeback || this.#closing.signal.aborted || this.#writing.size >= maxWrites)
      return undefined;
    if (thresholdBytes > 0 && length >= thresholdBytes) return undefined;
    const folder = this.#cache.folderOf(key);
    return folder === undefined || folder.stageFull ? undefined : folder;
  }

  async #find(): Promise<void> {
    for (const folder of this.#cache.folders) {
      try {
        for await (const { key, size, writtenAt } of scanBlocks(folder.place.staging)) {
          if (this.#closing.signal.aborted) return;
          if (this.#pending.has(key) || this.#writing.has(key)) continue;
          this.#add({ key, length: size, folder, since: writtenAt * 1000, tried: true });
        }
      } catch (error) {
        log.error({ error, folder: folder.place.path }, "cannot look for staged blocks");
      }
    }
    this.#allFound = true;
    if (this.#pending.size > 0) {
      log.info({ blocks: this.#pending.size, bytes: this.#bytes }, "staged blocks wait for upload");
    }
    this.#startDue();
  }

  /** A staged block; until all are found also one that is only on disk: it may be asked for at once. */
  async #lookUp(key: string): Promise<Pending | undefined> {
    if (!this.#pending.has(key) && !this.#writing.has(key) && !this.#allFound) {
      for (const folder of this.#cache.folders) {
        const path = join(folder.place.staging, key);
        const info = await stat(path).catch(() => undefined);
        if (info === undefined) continue;
        const length = sizeOfKey(key) ?? 0;
        this.#add({ key, length, folder, since: info.mtimeMs, tried: true });
      }
    }
    return this.#pending.get(key);
  }

  #add(block: Pick<Pending, "key" | "length" | "folder" | "since" | "tried">): void {
    if (this.#pending.has(block.key) || this.#storedMeanwhile.has(block.key)) return;
    const due = this.#hurry ? 0 : block.since + this.#options.delayMs;
    const state = { uploading: false, removed: false, unreadable: false };
    this.#pending.set(block.key, { ...block, due, ...state, failures: 0 });
    this.#bytes += block.length;
  }

  /** The disk is full of blocks that may not go: they are uploaded, the oldest first. */
  #uploadEarly(): void {
    for (const block of this.#pending.values()) block.due = 0;
    this.#startDue();
  }

  #startDue(): void {
    const { hours, maxUploads } = this.#options;
    const now = Date.now();
    if (this.#closing.signal.aborted) return;
    if (hours !== undefined && !this.#hurry && !isUploadHour(hours, new Date(now))) return;
    for (const block of this.#pending.values()) {
      if (this.#uploads >= maxUploads) return;
      if (block.uploading || block.removed || block.due > now) continue;
      if (this.#writing.has(block.key)) continue;
      void this.#upload(block);
    }
  }

  /** Stores a block. What is to be removed meanwhile is left to who does that. */
  async #upload(block: Pending): Promise<void> {
    block.uploading = true;
    block.tried = true;
    this.#uploads++;
    try {
      await this.#store(block);
      if (!block.removed) {
        await this.#forget(block);
        block.folder.release(block.key);
      }
    } catch (error) {
      if (!this.#closing.signal.aborted && !block.removed) this.#failed(block, error);
    }
    block.uploading = false;
    this.#uploads--;
    this.#tellEnd();
    this.#startDue();
  }

  /** Settles when an upload has ended, or a block is not pending any more. */
  #somethingEnds(): Promise<void> {
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #tellEnd(): void {
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  async #store(block: Pending): Promise<void> {
    const data = new Uint8Array(new SharedArrayBuffer(block.length));
    try {
      await this.#read(block, { offset: 0, length: block.length }, data);
    } catch (error) {
      // Whoever took it away may have stored it.
      if (await this.#target.fetch(block, data).then(yes, no)) return;
      throw error;
    }
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#target.upload({ key: block.key, length: block.length }, data);
        return;
      } catch (error) {
        if (attempt === TRIES || block.removed || this.#closing.signal.aborted) throw error;
      }
      await sleep(attempt ** 2 * PAUSE_MS, undefined, { signal: this.#closing.signal });
    }
  }

  #failed(block: Pending, error: unknown): void {
    this.#failure = error instanceof Error ? error.message : String(error);
    // Whose disk went away may come back with it.
    block.due = Date.now() + Math.min(AGAIN_MS * 2 ** block.failures++, AGAIN_MAX_MS);
    if (!(error instanceof DamagedBlock)) {
      log.warn({ key: block.key, error }, "a staged block waits on: its upload failed");
    } else if (!block.unreadable) {
      log.error({ key: block.key, error }, "a staged block cannot be read, so it is not uploaded");
    }
    block.unreadable = error instanceof DamagedBlock;
  }

  /** It is stored, or not wanted any more. @returns false where somebody else took its file away */
  async #forget(block: Pending): Promise<boolean> {
    const taken = await this.#unlink(block);
    if (!this.#allFound) this.#storedMeanwhile.add(block.key);
    if (this.#pending.delete(block.key)) this.#bytes -= block.length;
    this.#tellEnd();
    return taken;
  }

  /** Takes its staged file away. @returns false where it is gone */
  async #unlink(block: Pending): Promise<boolean> {
    const path = join(block.folder.place.staging, block.key);
    this.#open.drop(path);
    try {
      await unlink(path);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      return false;
    }
  }

  /** What is staged is all there is of it: checksums are looked at in any case. */
  async #read(
    { key, length, folder }: Pick<Pending, "key" | "length" | "folder">,
    range: BlockRange,
    into: Uint8Array,
  ): Promise<void> {
    const path = join(folder.place.staging, key);
    const verify = "extend";
    try {
      await this.#open.use(path, length, (file) => readBlock(file, range, { verify, into }));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      throw new DamagedBlock("its file is gone");
    }
  }
}

const yes = (): boolean => true;
const no = (): boolean => false;
