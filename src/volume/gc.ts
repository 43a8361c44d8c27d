import { BoundedWork } from "../base/bounded-work.ts";
import { isBlockOf, parseBlockKey } from "../chunk/block.ts";
import type { Format } from "../meta/format.ts";
import type { CleanedUp } from "../meta/upkeep.ts";
import { openFormat } from "../meta/redis/open.ts";
import { requireCompatible } from "../meta/version-gate.ts";
import { requireListing } from "../object/check.ts";
import { createStorage } from "../object/create.ts";
import type { ObjectInfo, ObjectStorage } from "../object/storage.ts";
import { compactCrowded } from "./compact.ts";
import { deleteOrphans } from "./orphans.ts";
import { openTool } from "./open-tool.ts";
import { silent, type JobOptions } from "./progress.ts";
import { repackSparse, type Repacked } from "./repack.ts";
import type { SliceTable } from "./slice-table.ts";
import { usedSlices, walkChunks, type MetaClient } from "./used-slices.ts";

/**
 * Finds objects that nothing refers to (JuiceFS cmd/gc.go, 1.4), and deletes them when asked to. What is younger than the
 * protection age is left alone: it may be of a slice that is about to be committed.
 */

export interface GcRequest {
  readonly metaUrl: string;
  /** Compacts all chunks first. */
  readonly compact: boolean;
  /** Deletes what is found, and does the clean-up that mounts do hourly. */
  readonly delete: boolean;
  readonly threads: number;
  /** `JFS_GC_SKIPPEDTIME` when absent, else an hour. */
  readonly protectionMs?: number | undefined;
}

export interface Sum {
  objects: number;
  bytes: number;
}

export interface GcResult {
  readonly scanned: Sum;
  readonly valid: Sum;
  /** Kept as long as the trash keeps files. */
  readonly compacted: Sum;
  /** Of slices without references, that wait to be deleted. */
  readonly pending: Sum;
  readonly leaked: Sum;
  /** Younger than the protection age. */
  readonly skipped: Sum;
  /** Below `chunks/`, with names that no client gives. */
  readonly unknown: Sum;
  /** Chunks of inodes that are gone. */
  leftOverChunks: number;
  readonly compaction?: { chunks: number; records: number; bytes: number } | undefined;
  readonly repacked?: Repacked | undefined;
  readonly cleanedUp?: CleanedUp | undefined;
  /** Inodes without a name that were deleted. */
  readonly orphans?: number | undefined;
  /** Leaked objects that were deleted, and files of writers that died. */
  deleted?: Sum & { abandoned: number };
}

/** @throws Error in one sentence */
export async function collectGarbage(
  request: GcRequest,
  options: JobOptions = {},
): Promise<GcResult> {
  const { format, client } = await openFormat(request.metaUrl);
  let storage: ObjectStorage | undefined;
  try {
    requireCompatible(format);
    storage = await createStorage(format);
    await requireListing(storage);
    const changes = await changeFirst(request, client, options);
    const used = await usedSlices(client, options);
    const result: GcResult = {
      ...{ scanned: zero(), valid: zero(), compacted: zero(), pending: zero(), leaked: zero() },
      ...{ skipped: zero(), unknown: zero(), leftOverChunks: used.leftOver.size, ...changes },
    };
    const collection = new Collection({ request, format, storage, result, slices: used.slices });
    await collection.scan(options);
    await collection.lookAgain(client, options);
    await collection.finish();
    return result;
  } finally {
    await storage?.close();
    client.disconnect();
  }
}

function zero(): Sum {
  return { objects: 0, bytes: 0 };
}

/** What changes the metadata: a compaction, clean-up, chunks of inodes that are gone. */
async function changeFirst(
  request: GcRequest,
  client: MetaClient,
  options: JobOptions,
): Promise<Pick<GcResult, "compaction" | "repacked" | "cleanedUp" | "orphans">> {
  if (!request.compact && !request.delete) return {};
  await using tool = await openTool(request.metaUrl, "gc");
  const compaction = request.compact
    ? await compactCrowded(tool, client, { ...options, threads: request.threads })
    : undefined;
  const repacked = request.compact ? await repackSparse({ ...tool, client }, options) : undefined;
  if (!request.delete) return { compaction, repacked };
  const cleanedUp = await tool.meta.upkeep.cleanUp(options.signal);
  const { upkeep } = tool.meta;
  const orphans = await deleteOrphans({ client, upkeep }, protectedSince(request), options);
  const { leftOver } = await usedSlices(client, { signal: options.signal });
  for (const [ino, chunks] of leftOver) await upkeep.deleteLeftOver(ino, chunks);
  return { compaction, repacked, cleanedUp, orphans };
}

interface CollectionParts {
  readonly request: GcRequest;
  readonly format: Format;
  readonly storage: ObjectStorage;
  readonly slices: SliceTable;
  readonly result: GcResult;
}

/** Objects without a slice, and those whose slice has a count only. */
class Collection {
  readonly #parts: CollectionParts;
  readonly #before: Date;
  readonly #doubtful: ObjectInfo[] = [];
  readonly #deletions: BoundedWork;

  constructor(parts: CollectionParts) {
    this.#parts = parts;
    this.#before = protectedSince(parts.request);
    this.#deletions = new BoundedWork(parts.request.threads);
    if (parts.request.delete) parts.result.deleted = { ...zero(), abandoned: 0 };
  }

  async scan({ progress = silent, signal }: JobOptions): Promise<void> {
    const counter = progress.count("objects looked at");
    for await (const object of this.#parts.storage.list("chunks/")) {
      signal?.throwIfAborted();
      counter.add(1, object.size);
      add(this.#parts.result.scanned, object);
      await this.#classify(object);
    }
    counter.end();
  }

  /** Slices that are counted but were not seen: a second walk decides. */
  async lookAgain(client: MetaClient, options: JobOptions): Promise<void> {
    if (this.#doubtful.length === 0) return;
    const seen = new Set<number>();
    await walkChunks(client, options, ({ slices }) => {
      for (const { id } of slices) {
        if (this.#parts.slices.get(Number(id))?.use === "counted") seen.add(Number(id));
      }
    });
    for (const object of this.#doubtful) {
      if (seen.has(parseBlockKey(object.key)?.id ?? 0)) add(this.#parts.result.valid, object);
      else await this.#unused(object);
    }
  }

  /** Settles when everything that was found is deleted, where that was asked for. */
  async finish(): Promise<void> {
    await this.#deletions.idle();
    const { result, storage } = this.#parts;
    if (result.deleted === undefined) return;
    result.deleted.abandoned = await storage.removeAbandoned(this.#before);
  }

  async #classify(object: ObjectInfo): Promise<void> {
    const { result, slices, format } = this.#parts;
    const block = parseBlockKey(object.key);
    if (block === undefined) {
      add(result.unknown, object);
      return;
    }
    const slice = slices.get(block.id);
    if (slice === undefined || !isBlockOf(block, slice.size, format.BlockSize * 1024)) {
      await this.#unused(object);
    } else if (slice.use === "counted") {
      this.#doubtful.push(object);
    } else {
      add(result[slice.use], object);
    }
  }

  async #unused(object: ObjectInfo): Promise<void> {
    const { result, storage } = this.#parts;
    if (object.modified >= this.#before) {
      add(result.skipped, object);
      return;
    }
    add(result.leaked, object);
    const { deleted } = result;
    if (deleted === undefined) return;
    await this.#deletions.start(async () => {
      await storage.delete(object.key);
      add(deleted, object);
    });
  }
}

function protectedSince({ protectionMs }: GcRequest): Date {
  const seconds = Number(process.env["JFS_GC_SKIPPEDTIME"] ?? 3600);
  if (!(seconds >= 0)) {
    throw new Error(
      `Cannot use JFS_GC_SKIPPEDTIME "${process.env["JFS_GC_SKIPPEDTIME"]}": expected seconds`,
    );
  }
  return new Date(Date.now() - (protectionMs ?? seconds * 1000));
}

function add(sum: Sum, { size }: ObjectInfo): void {
  sum.objects++;
  sum.bytes += size;
}
