import { join } from "node:path";
import type { BlockStore } from "../chunk/block-store.ts";
import type { PendingUploads } from "../chunk/staged-block.ts";
import { Spool } from "../chunk/spool.ts";
import { ROOT_INO } from "../meta/limits.ts";
import type { Format } from "../meta/format.ts";
import type { Meta, MetaListener, Notice, NoticeCounts, Trust } from "../meta/meta.ts";
import { openMeta } from "../meta/redis/open.ts";
import type { Ino } from "../meta/types.ts";
import { patienceMs, type MountValues } from "../options/mount.ts";
import { AclRules } from "../vfs/acls.ts";
import { getattr } from "../vfs/attr-of.ts";
import { DataEngine } from "../vfs/data-engine.ts";
import { NOTHING_JOURNALED, readJournal } from "../vfs/dirty-journal.ts";
import type { KernelCaches } from "../vfs/file-system.ts";
import { Gone } from "../vfs/gone.ts";
import { ListingNotes } from "../vfs/listing-notes.ts";
import { HandleTable, readHandles, type OpenHandle } from "../vfs/handle-table.ts";
import { Known, type KnownCounts } from "../vfs/known.ts";
import { shown, type VfsOptions, type VfsParts } from "../vfs/parts.ts";
import { Vfs } from "../vfs/vfs.ts";
import { MountJobs, type MountJob } from "./mount-jobs.ts";
import type { JobOptions } from "./progress.ts";
import { openStore } from "./open-store.ts";
import { FollowedSettings } from "./followed-settings.ts";
import { requireOutside } from "./outside.ts";
import { storageSettings } from "./storage-settings.ts";
import { openSubdir } from "./subdir.ts";
import { tryStorage } from "./try-storage.ts";

/** How a volume is opened for a mount. */
export interface OpenVolumeOptions {
  /** As other clients see it in `status`. */
  readonly mountpoint: string;
  readonly values: MountValues;
  readonly readOnly: boolean;
  /** The session of a process before, which is taken over. */
  readonly after?: Predecessor | undefined;
  /** Where a process that takes over finds what is not stored yet: a folder in memory. */
  readonly folder: string;
  /** The volume was destroyed or replaced: unmount. */
  readonly gone: (reason: string) => void;
}

/** The process that served the mount before. */
export interface Predecessor {
  readonly sid: bigint;
  /** `lastNotice` of the file system it served. */
  readonly lastNotice: string | undefined;
}

export type StagedBlocks = PendingUploads;

/** How far what is kept here may be trusted, and what came in of others' changes since this process serves. */
export interface NoticeStatus extends NoticeCounts, KnownCounts {
  readonly trust: Trust;
}

/** A volume that is ready to be shown by a kernel adapter, a gateway or a test. */
export interface OpenedVolume {
  readonly vfs: Vfs;
  readonly format: Format;
  readonly sid: bigint;
  notices(): NoticeStatus;
  /** The last notice seen: a successor that begins there misses nothing. */
  lastNotice(): string | undefined;
  /** What the metadata's server does not promise, in sentences. */
  weakPoints(): Promise<string[]>;
  /** Whether blocks are on their way to the store or to this machine's disks, or from the store. */
  transferring(): boolean;
  /** Who tells the kernel that something is stale; before it is set nothing was handed out. */
  setKernel(kernel: KernelCaches): void;
  /** What of the volume lies on this machine's disks only; undefined where nothing ever does. */
  staged(): Promise<StagedBlocks | undefined>;
  /** All of it is uploaded before the volume is closed, whatever the hour. */
  wantUploadAtEnd(): void;
  /** Does something with files that a command asked for. @throws Error in one sentence */
  runJob(job: MountJob, options: JobOptions): Promise<unknown>;
  /** Settles when everything is stored; jobs end. @throws Error what could not be stored */
  close(): Promise<void>;
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
  if (options.after?.lastNotice !== undefined) parts.early = [];
  const meta = await openMeta(
    metaUrl,
    {
      ...{ mountpoint: options.mountpoint, readOnly: options.readOnly, ...options.after },
      ...{ noBgjob: values["no-bgjob"], heartbeatMs: values.heartbeat },
      skipDirMtimeMs: values["skip-dir-mtime"],
      patienceMs: patienceMs(values),
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
  settings: FollowedSettings | undefined;
  /** What changed before the kernel can be told, while it holds what a process before handed out. */
  early: Notice[] | undefined;
}

async function show(
  meta: Meta,
  deferred: Deferred,
  { values, readOnly, folder, after, mountpoint }: OpenVolumeOptions,
): Promise<OpenedVolume> {
  const { format } = meta;
  const journaled = after === undefined ? NOTHING_JOURNALED : readJournal(folder);
  const handles = after === undefined ? [] : readHandles(join(folder, "handles"));
  const spool = new Spool(join(folder, "spool"), { keep: after !== undefined });
  const storage = storageSettings(format, values);
  // A successor must not even look at the mountpoint.
  if (after === undefined) requireOutside(mountpoint, storage, { format, values });
  if (values["check-storage"] && after === undefined) await tryStorage(storage);
  const opened = await openStore(format, values, { storage, spoolFd: spool.fd, readOnly });
  const { store } = opened;
  deferred.store = store;
  deferred.settings = new FollowedSettings({ storage, values, store: opened });
  deferred.settings.follow(meta.format);
  const known = new Known({
    trust: () => meta.trust,
    isOpen: (ino) => meta.openFiles.has(ino),
    inherited: after !== undefined,
  });
  const data = openData(meta, known, {
    ...{ store, spool, values, readOnly, folder },
    moved: (ino) => parts.kernel?.dataChanged(ino),
  });
  const parts: VfsParts = {
    ...{ meta, data, known, kernel: undefined },
    ...tablesIn(folder, handles),
    ...{ acls: new AclRules(meta), gone: new Gone() },
    options: {
      ...shownAs(values, format),
      readOnly,
      root: await rootOf(meta, values.subdir, { make: !readOnly && after === undefined }),
    },
  };
  deferred.vfs = parts;
  const vfs = new Vfs(parts, handles);
  await data.restore(journaled);
  if (after !== undefined) await vfs.restore(handles);
  const jobs = new MountJobs({
    ...{ meta, data, store, readOnly, root: parts.options.root },
    changed: (notice) => {
      dropStale(deferred, notice);
    },
  });
  return {
    ...{ vfs, format, sid: meta.sid },
    notices: () => ({ trust: meta.trust, ...meta.noticeCounts, ...known.counts }),
    lastNotice: () => meta.lastNotice,
    weakPoints: () => meta.weakPoints(),
    transferring: () => store.transferring,
    setKernel(kernel) {
      parts.kernel = showing(kernel, parts);
      known.kernel = parts.kernel;
      const { early = [] } = deferred;
      deferred.early = undefined;
      for (const notice of early) dropStale(deferred, notice);
    },
    wantUploadAtEnd() {
      store.wantUploadAtEnd();
    },
    staged: async () => (await store.localStatus())?.pending,
    runJob: (job, jobOptions) => jobs.run(job, jobOptions),
    close() {
      jobs.end();
      return vfs.close();
    },
  };
}

interface DataPlaces extends Pick<OpenVolumeOptions, "values" | "readOnly" | "folder"> {
  readonly store: BlockStore;
  readonly spool: Spool;
  /** What was written to an inode landed elsewhere than was guessed. */
  readonly moved: (ino: Ino) => void;
}

function openData(
  meta: Meta,
  known: Known,
  { store, spool, values, readOnly, folder, moved: onMoved }: DataPlaces,
): DataEngine {
  return new DataEngine(
    learning(meta, known),
    { store, spool },
    {
      options: {
        ...{ bufferBytes: values["buffer-size"], readaheadMax: values["max-readahead"] },
        ...{ folder, readOnly },
      },
      listener: {
        committed: (ino, attr, moved) => {
          known.sawData(ino, attr);
          if (moved) onMoved(ino);
        },
      },
    },
  );
}

/** What the data engine asks of the metadata; the attributes that a commit leaves are known at once. */
function learning(meta: Meta, known: Known): ConstructorParameters<typeof DataEngine>[0] {
  return {
    readChunk: (ino, chunkIndex) => meta.readChunk(ino, chunkIndex),
    nextChunk: (ino, from, end) => meta.nextChunk(ino, from, end),
    newSliceId: () => meta.newSliceId(),
    compactChunks: (replacements) => meta.compactChunks(replacements),
    abandonSlice: (id, size) => meta.abandonSlice(id, size),
    async commitSlices(commits) {
      const mark = known.mark();
      const outcomes = await meta.commitSlices(commits);
      for (const [at, { ino }] of commits.entries()) {
        const outcome = outcomes[at];
        if (outcome !== undefined && "attr" in outcome) known.committed(ino, outcome.attr, mark);
      }
      return outcomes;
    },
  };
}

/** What a successor must find of what is open. */
function tablesIn(
  folder: string,
  handles: readonly OpenHandle[],
): Pick<VfsParts, "handles" | "listingNotes"> {
  return {
    handles: new HandleTable(join(folder, "handles"), handles),
    listingNotes: new ListingNotes(join(folder, "listings")),
  };
}

/** The kernel knows the directory of `--subdir` as inode 1. */
function showing(kernel: KernelCaches, parts: VfsParts): KernelCaches {
  return {
    attrChanged(ino, via) {
      kernel.attrChanged(shown(parts, ino), via && { ...via, parent: shown(parts, via.parent) });
    },
    dataChanged(ino) {
      kernel.dataChanged(shown(parts, ino));
    },
    entryChanged(parent, name, gone) {
      kernel.entryChanged(shown(parts, parent), name, gone);
    },
    settled: () => kernel.settled(),
  };
}

/** What is known here of what changed is dropped, and the kernel told. */
function dropStale({ vfs, early }: Deferred, notice: Notice): void {
  early?.push(notice);
  vfs?.known.changed(notice);
  for (const ino of [...notice.data, ...notice.slices]) vfs?.data.invalidate(ino);
  for (const ino of notice.unexplained) if (vfs?.known.data.mayHold(ino)) look(vfs, ino);
}

/** How the mount's options want the volume to be shown. */
function shownAs(values: MountValues, format: Format): Omit<VfsOptions, "readOnly" | "root"> {
  const [allSquash, rootSquash] = [values["all-squash"], values["root-squash"]];
  return {
    ...{ allSquash, rootSquash, checks: (allSquash ?? rootSquash) !== undefined },
    ...{ xattrs: values["enable-xattr"] || format.EnableACL, umask: values.umask },
    ...{ capabilities: values["enable-cap"], selinux: values["enable-selinux"] },
    ...{ ioctl: values["enable-ioctl"], atime: values["atime-mode"] },
    openCacheMs: values["open-cache"],
  };
}

function listenerOf(deferred: Deferred, { gone }: OpenVolumeOptions): MetaListener {
  return {
    changed(notice) {
      dropStale(deferred, notice);
    },
    trustChanged() {
      deferred.vfs?.known.dropAll();
    },
    interrupted() {
      deferred.vfs?.known.interrupted();
    },
    async deleteSlice(id, size) {
      if (deferred.store === undefined) throw new Error("The store is not open yet");
      await deferred.store.deleteSlice(id, size);
    },
    settingsChanged(format) {
      deferred.settings?.follow(format);
    },
    volumeGone: gone,
  };
}

/** Finds out whether the data changed, for whoever has the file open or mapped. */
function look(parts: VfsParts, ino: Ino): void {
  const asked = getattr(parts, shown(parts, ino));
  if (asked instanceof Promise) asked.catch(() => undefined);
}

/** A directory that was removed while it is shown is not made anew for a successor: the kernel holds what was in it. */
async function rootOf(
  meta: Meta,
  subdir: string | undefined,
  { make }: { make: boolean },
): Promise<Ino> {
  return subdir === undefined ? ROOT_INO : openSubdir(meta, subdir, make);
}
