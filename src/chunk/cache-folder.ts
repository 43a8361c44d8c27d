import { link, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { DurableFolders } from "../base/folder-sync.ts";
import { log } from "../base/log.ts";
import { DamagedBlock, readBlock, type BlockRange, type VerifyLevel } from "./block-file.ts";
import { CachePlace } from "./cache-place.ts";
import { scanBlocks } from "./cache-scan.ts";
import { roomOf, type Room } from "./cache-space.ts";
import { FILE_BYTES, CacheIndex, type Eviction } from "./eviction.ts";
import { FolderHealth } from "./folder-health.ts";
import { OpenBlocks } from "./open-blocks.ts";

/**
 * One cache folder: what lies in it, how much of the disk it may take, whether the disk is well. Whatever happens to folder
 * or disk, blocks are not found or not kept; nothing here fails.
 */

export interface CacheFolderOptions {
  /** The volume's own folder below the one that was named. */
  readonly path: string;
  readonly mode: number;
  readonly verify: VerifyLevel;
  readonly eviction: Eviction;
  readonly capacityBytes: number;
  /** Blocks at most; 0: as many as the file system has room for. */
  readonly items: number;
  /** Part of the disk that stays free. */
  readonly freeRatio: number;
  /** Blocks that were not used for so long go; 0: never. */
  readonly expireMs: number;
  /** Between two walks over the folder; 0: one at the start; below: none. */
  readonly scanIntervalMs: number;
}

export interface FolderCounts {
  hits: number;
  misses: number;
  writes: number;
  evicted: number;
  damaged: number;
}

const OPEN_MAX = 64;
const LOOK_EVERY_MS = 1000;
const EXPIRE_EVERY_MS = 60_000;
/** Part of a limit that is left when room was made. */
const BYTES_LEFT = 0.95;
const ITEMS_LEFT = 0.99;
const UNLINKS_AT_ONCE = 16;
const EXPIRED_AT_ONCE = 1000;

export class CacheFolder {
  readonly counts: FolderCounts = { hits: 0, misses: 0, writes: 0, evicted: 0, damaged: 0 };
  readonly place: CachePlace;
  /** Called when there is no room although everything that may go is gone. */
  onPressure: () => void = () => undefined;
  readonly #options: CacheFolderOptions;
  readonly #index: CacheIndex;
  readonly #open = new OpenBlocks(OPEN_MAX);
  readonly #health: FolderHealth;
  readonly #timers: NodeJS.Timeout[] = [];
  #id = "";
  #scanned = false;
  #scanning: Promise<void> | undefined;
  /** What was put here since a walk began. */
  #fresh: Set<string> | undefined;
  #room: Pick<Room, "bytes" | "items"> = { bytes: 0, items: 0 };
  /** What is being written. */
  readonly #arriving = { bytes: 0, blocks: 0 };
  #full = false;
  #stageFull = false;
  #evicting: Promise<void> | undefined;
  #closed = false;

  /** Never fails: a folder that cannot be used is looked at again and again. */
  static async open(options: CacheFolderOptions): Promise<CacheFolder> {
    const folder = new CacheFolder(options);
    await folder.#begin();
    return folder;
  }

  private constructor(options: CacheFolderOptions) {
    this.#options = options;
    this.place = new CachePlace(options.path, {
      mode: options.mode,
      checksums: options.verify !== "none",
    });
    this.#index = new CacheIndex(options.eviction);
    this.#health = new FolderHealth(this.place, {
      lost: () => {
        this.#forgetAll();
      },
      back: () => {
        this.#scanSoon();
      },
    });
  }

  /** Names it on the ring of folders. */
  get id(): string {
    return this.#id;
  }
  get usable(): boolean {
    return this.#health.readable;
  }
  /** True where nothing more can be staged. */
  get stageFull(): boolean {
    return this.#stageFull || !this.#health.writable;
  }
  get state(): string {
    return this.#health.state;
  }
  get bytes(): number {
    return this.#index.bytes;
  }
  get blocks(): number {
    return this.#index.count;
  }

  /** True when the block is known to lie here. */
  knows(key: string): boolean {
    return this.usable && this.#index.has(key);
  }

  /** Whether the block lies here; looks on the disk where that is not known. */
  async holds(key: string): Promise<boolean> {
    if (this.#scanned || !this.usable) return this.knows(key);
    return this.knows(key) || this.place.has(key);
  }

  /** Whether the block lies here, as far as is known. */
  mayHave(key: string): boolean {
    return this.usable && (this.#index.has(key) || !this.#scanned);
  }

  /** Reads a part of a block of `length` bytes into `into`. @returns false when it is not here */
  async read(
    key: string,
    length: number,
    { into, range }: { into: Uint8Array; range: BlockRange },
  ): Promise<boolean> {
    if (!this.mayHave(key)) return this.#missed();
    const path = join(this.place.raw, key);
    try {
      await this.#health.watch(() =>
        this.#open.use(path, length, (file) =>
          readBlock(file, range, { verify: this.#options.verify, into }),
        ),
      );
    } catch (error) {
      await this.#failed(key, error);
      return this.#missed();
    }
    if (this.#index.has(key)) this.#index.touch(key, now());
    else this.#index.add(key, length, now());
    this.counts.hits++;
    return true;
  }

  /** Keeps a block. @returns false where there is no room for it, or the disk is not well */
  async write(key: string, parts: readonly Uint8Array[], length: number): Promise<boolean> {
    if (this.#full || !this.#health.writable) return false;
    if (this.#scanned && this.#index.has(key)) return true;
    if (this.#options.eviction === "none" && !this.#hasRoomFor(length)) return false;
    this.#arriving.bytes += length + FILE_BYTES;
    this.#arriving.blocks++;
    try {
      await this.#health.watch(() => this.place.write(join(this.place.raw, key), parts));
    } catch (error) {
      await this.#failed(key, error);
      return false;
    } finally {
      this.#arriving.bytes -= length + FILE_BYTES;
      this.#arriving.blocks--;
    }
    this.counts.writes++;
    this.#fresh?.add(key);
    this.#index.add(key, length, now());
    this.#makeRoom();
    return true;
  }

  /**
   * Takes a block that is stored nowhere else yet: it stays until `release`, and is found as a cached one too.
   *
   * @returns false where it could not be written
   */
  async stage(
    key: string,
    parts: readonly Uint8Array[],
    length: number,
    durable: DurableFolders | undefined,
  ): Promise<boolean> {
    const staged = join(this.place.staging, key);
    try {
      await this.#health.watch(() => this.place.write(staged, parts, durable));
    } catch (error) {
      await this.#failed(key, error);
      return false;
    }
    const path = join(this.place.raw, key);
    try {
      await this.place.makeFolder(dirname(path));
      await link(staged, path);
    } catch (error) {
      // It is read from where it is staged then.
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") return true;
    }
    this.#fresh?.add(key);
    this.#index.keep(key, length);
    return true;
  }

  /** A staged block is stored now. */
  release(key: string): void {
    this.#index.release(key, now());
  }

  async remove(key: string): Promise<void> {
    if (!this.mayHave(key)) return;
    this.#index.remove(key);
    this.#fresh?.delete(key);
    await this.#unlink(key);
  }

  /** Settles when what lies here is known. */
  async scanned(): Promise<void> {
    await this.#scanning;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    await Promise.allSettled([this.#scanning, this.#evicting]);
    this.#open.close();
  }

  async #begin(): Promise<void> {
    this.#id = await this.#health.begin();
    await this.#look();
    const { scanIntervalMs, expireMs } = this.#options;
    if (scanIntervalMs >= 0) this.#scanSoon();
    if (scanIntervalMs > 0) this.#every(scanIntervalMs, () => this.#scanSoon());
    if (expireMs > 0) this.#every(Math.min(expireMs, EXPIRE_EVERY_MS), () => this.#expire());
    this.#every(LOOK_EVERY_MS, () => {
      void this.#look();
    });
  }

  #every(ms: number, work: () => void): void {
    this.#timers.push(setInterval(work, ms).unref());
  }

  #missed(): boolean {
    this.counts.misses++;
    return false;
  }

  /** What is wrong with one block, or with the folder. */
  async #failed(key: string, error: unknown): Promise<void> {
    if (error instanceof DamagedBlock) {
      this.counts.damaged++;
      log.warn({ key, folder: this.place.path, why: error.message }, "a cached block is damaged");
      await this.remove(key);
      return;
    }
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") this.#index.remove(key);
    if (code === "ENOSPC" || code === "EDQUOT") {
      this.#full = true;
      this.#makeRoom();
    } else {
      this.#health.failed(error);
    }
  }

  async #unlink(key: string): Promise<void> {
    const path = join(this.place.raw, key);
    this.#open.drop(path);
    await unlink(path).catch((error: unknown) => {
      const gone = (error as NodeJS.ErrnoException).code === "ENOENT";
      if (!gone) this.#health.failed(error);
    });
  }

  #forgetAll(): void {
    this.#index.clear();
    this.#open.close();
    this.#scanned = true;
  }

  /** How much of the disk is free now, and so how much of it may be taken. */
  async #look(): Promise<void> {
    await this.#health.look();
    if (!this.usable) return;
    const space = await this.place.space().catch(() => undefined);
    if (space === undefined) return;
    const room = roomOf(space, this.#options, this.#index);
    this.#room = room;
    this.#stageFull = room.stageFull;
    this.#full = room.full || this.#isOver();
    if (this.#full) this.#makeRoom();
  }

  #isOver(): boolean {
    return this.bytes > this.#room.bytes || this.blocks > this.#room.items;
  }

  #hasRoomFor(length: number): boolean {
    const bytes = this.bytes + this.#arriving.bytes + length + FILE_BYTES;
    const blocks = this.blocks + this.#arriving.blocks + 1;
    return bytes <= this.#room.bytes && blocks <= this.#room.items;
  }

  #makeRoom(): void {
    if (this.#evicting !== undefined || (!this.#full && !this.#isOver())) return;
    if (this.#options.eviction === "none") {
      this.#full = true;
      return;
    }
    this.#evicting = this.#evict().finally(() => {
      this.#evicting = undefined;
    });
  }

  async #evict(): Promise<void> {
    const bytes = this.#room.bytes * BYTES_LEFT;
    const items = this.#room.items * ITEMS_LEFT;
    while (!this.#closed && (this.bytes > bytes || this.blocks > items)) {
      const victims: string[] = [];
      while (victims.length < UNLINKS_AT_ONCE && (this.bytes > bytes || this.blocks > items)) {
        const victim = this.#index.takeVictim();
        if (victim === undefined) break;
        victims.push(victim.key);
      }
      if (victims.length === 0) {
        this.onPressure();
        return;
      }
      await Promise.all(victims.map((key) => this.#unlink(key)));
      this.counts.evicted += victims.length;
    }
  }

  #expire(): void {
    const before = now() - Math.floor(this.#options.expireMs / 1000);
    for (const { key } of this.#index.takeExpired(before, EXPIRED_AT_ONCE)) {
      this.counts.evicted++;
      void this.#unlink(key);
    }
  }

  #scanSoon(): void {
    this.#scanning ??= this.#scan()
      .catch((error: unknown) => {
        this.#health.failed(error);
      })
      .finally(() => {
        this.#scanning = undefined;
        this.#fresh = undefined;
      });
  }

  async #scan(): Promise<void> {
    if (!this.usable) return;
    const seen = new Set<string>();
    this.#fresh = seen;
    for await (const { key, size, usedAt, linked } of scanBlocks(this.place.raw)) {
      if (this.#closed) return;
      seen.add(key);
      if (linked) {
        this.#index.keep(key, size);
        continue;
      }
      this.#index.release(key, usedAt);
      this.#index.add(key, size, usedAt);
    }
    this.#index.forgetUnseen(seen);
    this.#scanned = true;
    this.#makeRoom();
  }
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}
