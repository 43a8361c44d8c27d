import pLimit from "p-limit";
import { blockKey, blockLength, isBlockOf, parseBlockKey } from "../chunk/block.ts";
import type { Format } from "../meta/format.ts";
import { openFormat } from "../meta/redis/open.ts";
import { pathsOf } from "../meta/redis/paths.ts";
import type { Ino, Slice } from "../meta/types.ts";
import { requireCompatible } from "../meta/version-gate.ts";
import { requireListing } from "../object/check.ts";
import { createStorage } from "../object/create.ts";
import { ObjectMissing, type ObjectStorage } from "../object/storage.ts";
import { silent, type JobOptions } from "./progress.ts";
import { SliceTable } from "./slice-table.ts";
import { walkChunks, type MetaClient } from "./used-slices.ts";

/** Looks for files whose objects are missing (JuiceFS cmd/fsck.go, 1.4). Changes nothing. */

export interface ObjectCheck {
  readonly slices: number;
  readonly bytes: number;
  /** Blocks that files refer to and that are not there. */
  readonly missing: readonly string[];
  /** How many there are, named above or not. */
  readonly missingCount: number;
  readonly broken: readonly BrokenFile[];
}

export interface BrokenFile {
  readonly inode: string;
  readonly paths: readonly string[];
  /** Of this file, of those named. */
  readonly missing: readonly string[];
}

/** So many missing blocks and broken files are named. */
const NAMED_MAX = 10_000;
const HEADS_AT_ONCE = 16;

/** @throws Error in one sentence where it cannot be checked */
export async function checkObjects(
  metaUrl: string,
  options: JobOptions = {},
): Promise<ObjectCheck> {
  const { format, client } = await openFormat(metaUrl);
  let storage: ObjectStorage | undefined;
  try {
    requireCompatible(format);
    storage = await createStorage(format);
    await requireListing(storage);
    return await new ObjectChecker(format, client, storage).check(options);
  } finally {
    await storage?.close();
    client.disconnect();
  }
}

class ObjectChecker {
  readonly #format: Format;
  readonly #blockSize: number;
  readonly #client: MetaClient;
  readonly #storage: ObjectStorage;
  readonly #slices = new SliceTable();
  /** Blocks that are missing, by slice. */
  readonly #missing = new Map<number, Set<number>>();

  constructor(format: Format, client: MetaClient, storage: ObjectStorage) {
    this.#format = format;
    this.#blockSize = format.BlockSize * 1024;
    this.#client = client;
    this.#storage = storage;
  }

  async check(options: JobOptions): Promise<ObjectCheck> {
    let bytes = 0;
    await walkChunks(this.#client, options, ({ owned, slices }) => {
      if (!owned) return;
      for (const { id, size } of slices) this.#slices.add(id, size, "valid");
    });
    await this.#markBlocks(options);
    for (const { size } of this.#slices.entries()) bytes += size;
    await this.#findMissing(options);
    return { slices: this.#slices.count, bytes, ...(await this.#broken(options)) };
  }

  /** Counts the blocks that are there, slice by slice. */
  async #markBlocks({ progress = silent, signal }: JobOptions): Promise<void> {
    const counter = progress.count("objects looked at");
    for await (const { key, size } of this.#storage.list("chunks/")) {
      signal?.throwIfAborted();
      counter.add(1, size);
      const block = parseBlockKey(key);
      const slice = block === undefined ? undefined : this.#slices.get(block.id);
      if (block === undefined || slice === undefined) continue;
      if (isBlockOf(block, slice.size, this.#blockSize)) this.#slices.mark(block.id);
    }
    counter.end();
  }

  /** Asks for the blocks of slices that are not complete: a listing may be older than a block. */
  async #findMissing({ progress = silent, signal }: JobOptions): Promise<void> {
    const counter = progress.count("slices looked at again");
    const limit = pLimit(HEADS_AT_ONCE);
    for (const { id, size, marks } of this.#slices.entries()) {
      const blocks = Math.ceil(size / this.#blockSize);
      if (marks >= blocks) continue;
      signal?.throwIfAborted();
      const indexes = Array.from({ length: blocks }, (_, index) => index);
      await limit.map(indexes, (index) => this.#ask(id, index, size));
      counter.add();
    }
    counter.end();
  }

  async #ask(id: number, index: number, size: number): Promise<void> {
    const length = blockLength(size, index, this.#blockSize);
    const key = blockKey(BigInt(id), index, length, this.#format.HashPrefix);
    try {
      await this.#storage.head(key);
    } catch (error) {
      if (!(error instanceof ObjectMissing)) throw error;
      const blocks = this.#missing.get(id) ?? new Set();
      this.#missing.set(id, blocks.add(index));
    }
  }

  /** What files still refer to of what is missing: others were deleted or compacted meanwhile. */
  async #broken(
    options: JobOptions,
  ): Promise<Pick<ObjectCheck, "missing" | "missingCount" | "broken">> {
    const files = new Map<Ino, Set<string>>();
    const missing = new Set<string>();
    if (this.#missing.size > 0) {
      await walkChunks(this.#client, options, ({ ino, owned, slices }) => {
        if (!owned) return;
        for (const key of slices.flatMap((slice) => this.#missingOf(slice))) {
          missing.add(key);
          if (files.size >= NAMED_MAX && !files.has(ino)) continue;
          files.set(ino, (files.get(ino) ?? new Set()).add(key));
        }
      });
    }
    const broken: BrokenFile[] = [];
    for (const [ino, keys] of files) {
      const paths = await pathsOf(this.#client, ino);
      broken.push({ inode: ino.toString(), paths, missing: [...keys].slice(0, NAMED_MAX) });
    }
    return { missing: [...missing].slice(0, NAMED_MAX), missingCount: missing.size, broken };
  }

  /** The missing blocks that a record refers to, of a slice that others may share. */
  #missingOf({ id, size, off, len }: Slice): string[] {
    const blocks = this.#missing.get(Number(id));
    if (blocks === undefined) return [];
    const [first, last] = [off, off + len - 1].map((at) => Math.floor(at / this.#blockSize));
    return [...blocks]
      .filter((index) => index >= (first ?? 0) && index <= (last ?? 0))
      .map((index) =>
        blockKey(id, index, blockLength(size, index, this.#blockSize), this.#format.HashPrefix),
      );
  }
}
