import { BlockCache } from "../chunk/block-cache.ts";
import { BlockJobs } from "../chunk/block-jobs.ts";
import { BlockStore } from "../chunk/block-store.ts";
import { SharedMemory } from "../chunk/shared-memory.ts";
import type { Meta } from "../meta/meta.ts";
import { openMeta } from "../meta/redis/open.ts";
import type { Format } from "../meta/format.ts";
import { Compactor } from "../vfs/compactor.ts";
import type { CopyParts } from "../vfs/slice-copy.ts";
import { LooseSlices } from "../vfs/loose-slices.ts";
import { storageSettings } from "./storage-settings.ts";

/** A volume that a command works on without showing it to anybody. */
export interface Tool extends AsyncDisposable {
  readonly meta: Meta;
  readonly copy: CopyParts;
  readonly loose: LooseSlices;
  readonly compactor: Compactor;
}

const TRIES = 4;
const TIMEOUT_MS = 60_000;
const CACHED_BLOCKS = 16;
const AT_ONCE = 50;

/**
 * Opens a volume for changes, with a session that `name` names in `status`.
 *
 * @throws Error in one sentence
 */
export async function openTool(metaUrl: string, name: string): Promise<Tool> {
  let store: BlockStore | undefined;
  const meta = await openMeta(
    metaUrl,
    { mountpoint: name, readOnly: false, noBgjob: true },
    {
      changed: () => undefined,
      trustChanged: () => undefined,
      deleteSlice: async (id, size) => {
        if (store === undefined) throw new Error("The store is not open yet");
        await store.deleteSlice(id, size);
      },
      volumeGone: () => undefined,
    },
  );
  try {
    store = await openToolStore(meta.format);
  } catch (error) {
    await meta.close();
    throw error;
  }
  const copy = copyParts(store);
  // Nobody takes over from a command: gc finds what it leaves.
  const loose = new LooseSlices(store, meta);
  const compactor = new Compactor({ meta, loose, ...copy, compacted: () => undefined });
  return {
    ...{ meta, copy, loose, compactor },
    async [Symbol.asyncDispose]() {
      await compactor.close();
      await loose.idle();
      await meta.close();
      await copy.store.close();
    },
  };
}

/** The blocks of a volume, handled in this thread. */
async function openToolStore(format: Format): Promise<BlockStore> {
  const jobs = await BlockJobs.open({
    ...{ storage: storageSettings(format), compression: format.Compression, spoolFd: -1 },
    ...{ ioRetries: TRIES, putTimeoutMs: TIMEOUT_MS, getTimeoutMs: TIMEOUT_MS },
  });
  return new BlockStore(jobs, {
    ...{ blockSize: format.BlockSize * 1024, hashPrefix: format.HashPrefix },
    ...{ maxUploads: AT_ONCE, maxDownloads: AT_ONCE, maxDeletes: AT_ONCE },
    rangeReads: jobs.rangeReads,
  });
}

function copyParts(store: BlockStore): CopyParts {
  const memory = new SharedMemory(CACHED_BLOCKS * store.blockSize);
  const capacityBytes = CACHED_BLOCKS * store.blockSize;
  return { store, memory, cache: new BlockCache(store, memory, { capacityBytes }) };
}
