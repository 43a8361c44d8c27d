import { BlockStore } from "../chunk/block-store.ts";
import { codecOf } from "../chunk/codec.ts";
import { FsError } from "../base/fs-error.ts";
import { ROOT_INO, TYPE_DIRECTORY } from "../meta/limits.ts";
import type { Format } from "../meta/format.ts";
import type { Meta, MetaListener } from "../meta/meta.ts";
import { openMeta } from "../meta/redis/open.ts";
import type { Ino } from "../meta/types.ts";
import { createStorage } from "../object/create.ts";
import type { MountValues } from "../options/mount.ts";
import { DataEngine } from "../vfs/data-engine.ts";
import type { KernelCaches } from "../vfs/file-system.ts";
import { Known } from "../vfs/known.ts";
import { shown, type VfsParts } from "../vfs/parts.ts";
import { Vfs } from "../vfs/vfs.ts";
import { storageSettings } from "./storage-settings.ts";

/** How a volume is opened for a mount. */
export interface OpenVolumeOptions {
  /** As other clients see it in `status`. */
  readonly mountpoint: string;
  readonly values: MountValues;
  readonly readOnly: boolean;
  /** The session of a process before, which is taken over. */
  readonly sid?: bigint | undefined;
  /** The volume was destroyed or replaced: unmount. */
  readonly gone: (reason: string) => void;
}

/** A volume that is ready to be shown by a kernel adapter, a gateway or a test. */
export interface OpenedVolume {
  readonly vfs: Vfs;
  readonly format: Format;
  readonly sid: bigint;
  /** Who tells the kernel that something is stale; before it is set nothing was handed out. */
  setKernel(kernel: KernelCaches): void;
}

/**
 * Opens a volume: metadata with a session, storage, and the file system over both.
 *
 * @throws Error in one sentence
 */
export async function openVolume(
  metaUrl: string,
  options: OpenVolumeOptions,
): Promise<OpenedVolume> {
  const { values } = options;
  const parts = new Deferred();
  const meta = await openMeta(
    metaUrl,
    {
      ...{ mountpoint: options.mountpoint, readOnly: options.readOnly, sid: options.sid },
      ...{ noBgjob: values["no-bgjob"], heartbeatMs: values.heartbeat },
    },
    listenerOf(parts, options),
  );
  try {
    return await show(meta, parts, options);
  } catch (error) {
    await meta.close();
    throw error;
  }
}

/** What the listener of the metadata needs, which is made after it. */
class Deferred {
  store: BlockStore | undefined;
  vfs: VfsParts | undefined;
}

async function show(
  meta: Meta,
  deferred: Deferred,
  { values, readOnly }: OpenVolumeOptions,
): Promise<OpenedVolume> {
  const { format } = meta;
  const store = await openStore(format, values);
  deferred.store = store;
  const known = new Known(() => meta.trust);
  const data = new DataEngine(meta, store, {
    options: { bufferBytes: values["buffer-size"], readaheadMax: values["max-readahead"] },
    listener: {
      committed: (ino, attr, moved) => {
        known.keepAttr(ino, attr);
        known.sawData(ino, attr);
        if (moved) parts.kernel?.dataChanged(shown(parts, ino));
        else parts.kernel?.attrChanged(shown(parts, ino));
      },
    },
  });
  const parts: VfsParts = {
    ...{ meta, data, known, kernel: undefined },
    options: {
      readOnly,
      root: values.subdir === undefined ? ROOT_INO : await resolve(meta, values.subdir),
      ...{ allSquash: values["all-squash"], rootSquash: values["root-squash"] },
      ...{ xattrs: values["enable-xattr"], umask: values.umask },
    },
  };
  deferred.vfs = parts;
  return {
    ...{ vfs: new Vfs(parts), format, sid: meta.sid },
    setKernel(kernel) {
      parts.kernel = kernel;
      known.kernel = kernel;
    },
  };
}

async function openStore(format: Format, values: MountValues): Promise<BlockStore> {
  const storage = await createStorage(storageSettings(format, values));
  return new BlockStore(storage, codecOf(format.Compression), {
    ...{ blockSize: format.BlockSize * 1024, hashPrefix: format.HashPrefix },
    ...{ ioRetries: values["io-retries"] },
    ...{ maxUploads: values["max-uploads"], maxDownloads: values["max-downloads"] },
    ...{ putTimeoutMs: values["put-timeout"], getTimeoutMs: values["get-timeout"] },
  });
}

function listenerOf(deferred: Deferred, { gone, values }: OpenVolumeOptions): MetaListener {
  return {
    changed(notice) {
      const parts = deferred.vfs;
      parts?.known.changed(notice);
      for (const ino of [...notice.data, ...notice.slices]) parts?.data.invalidate(ino);
    },
    trustChanged(trust) {
      if (trust !== "long") deferred.vfs?.known.dropAll();
    },
    async deleteSlice(id, size) {
      if (deferred.store === undefined || values["max-deletes"] === 0) {
        throw new Error("deleting is turned off");
      }
      await deferred.store.deleteSlice(id, size);
    },
    volumeGone: gone,
  };
}

/** The directory that `--subdir` names. @throws Error when there is none */
async function resolve(meta: Meta, path: string): Promise<Ino> {
  let ino: Ino = ROOT_INO;
  for (const name of path.split("/").filter((part) => part !== "")) {
    try {
      const entry = await meta.lookup(ino, Buffer.from(name));
      if (entry.attr.type !== TYPE_DIRECTORY) throw new FsError("ENOTDIR", "subdir");
      ino = entry.ino;
    } catch (error) {
      if (!(error instanceof FsError) || error.code === "EIO") throw error;
      throw new Error(`Cannot show subdir "${path}": the volume has no directory of that name`, {
        cause: error,
      });
    }
  }
  return ino;
}
