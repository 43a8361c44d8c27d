import type { Maybe } from "../base/maybe.ts";
import type { Caller, Ino, RangeLock, VolumeUsage } from "../meta/types.ts";
import { isDue, noteRead } from "./access-times.ts";
import { attrOf, getattr } from "./attr-of.ts";
import * as attributes from "./attributes.ts";
import { DirStream } from "./dir-stream.ts";
import { noting } from "./listing-notes.ts";
import { FileLocks } from "./file-locks.ts";
import type * as fs from "./file-system.ts";
import { Files } from "./files.ts";
import type { OpenHandle } from "./handle-table.ts";
import * as names from "./names.ts";
import { Owed } from "./owed.ts";
import { real, requireWritable, type VfsParts } from "./parts.ts";
import { MAY_READ, requireAccess } from "./permission.ts";
import { reached } from "./reached.ts";
import * as xattrs from "./xattrs.ts";

interface OpenDirectory {
  readonly ino: Ino;
  readonly stream: DirStream;
  /** The kernel may fill its pages through it. */
  readonly caches: boolean;
}

/** A volume as a POSIX file system: binds the operations, holds what is open. */
export class Vfs implements fs.FileSystem {
  readonly #parts: VfsParts;
  readonly #owed = new Owed();
  readonly #files: Files;
  readonly #locks: FileLocks;
  readonly #directories = new Map<bigint, OpenDirectory>();
  /** Never one of a process before. */
  #lastDirectory = BigInt(Date.now()) << 20n;

  /** `handles`: what a process before had open. */
  constructor(parts: VfsParts, handles: readonly OpenHandle[] = []) {
    this.#parts = parts;
    this.#files = new Files(parts, this.#owed);
    this.#files.restore(handles);
    this.#locks = new FileLocks(parts.meta, this.#owed);
  }

  /** Takes over what the session of a process before held. */
  async restore(handles: readonly OpenHandle[]): Promise<void> {
    const { meta } = this.#parts;
    const { nameless, locked } = await meta.inherited();
    this.#locks.inherit(locked, handles);
    const closed = nameless.filter((ino) => !meta.openFiles.has(ino));
    await Promise.all(closed.map((ino) => meta.forgetOpen(ino)));
  }

  lookup(caller: Caller, parent: Ino, name: Buffer): Maybe<fs.KnownEntry | fs.Absent> {
    return names.lookup(this.#parts, caller, parent, name);
  }
  getattr(_caller: Caller, ino: Ino): Maybe<fs.KnownAttr> {
    return reached(this.#parts, ino, () => getattr(this.#parts, ino));
  }
  setattr(caller: Caller, ino: Ino, change: fs.SetAttr): Maybe<fs.KnownAttr> {
    return reached(this.#parts, ino, () => attributes.setattr(this.#parts, caller, ino, change));
  }
  readlink(_caller: Caller, ino: Ino): Maybe<Buffer> {
    return reached(this.#parts, ino, () =>
      this.#noted(ino, () => this.#parts.known.targets.get(ino) ?? this.#readlink(ino)),
    );
  }
  mknod(caller: Caller, parent: Ino, name: Buffer, node: fs.MakeNode): Maybe<fs.KnownEntry> {
    return names.mknod(this.#parts, caller, { parent, name, node });
  }
  mkdir(caller: Caller, parent: Ino, name: Buffer, node: fs.MakeDirectory): Maybe<fs.KnownEntry> {
    return names.mkdir(this.#parts, caller, { parent, name, ...node });
  }
  symlink(caller: Caller, parent: Ino, name: Buffer, target: Buffer): Maybe<fs.KnownEntry> {
    return names.symlink(this.#parts, caller, { parent, name, target });
  }
  link(caller: Caller, ino: Ino, parent: Ino, name: Buffer): Maybe<fs.KnownEntry> {
    return names.link(this.#parts, caller, { ino, parent, name });
  }
  unlink(caller: Caller, parent: Ino, name: Buffer): Maybe<void> {
    return names.remove(this.#parts, caller, { parent, name, directory: false });
  }
  rmdir(caller: Caller, parent: Ino, name: Buffer): Maybe<void> {
    return names.remove(this.#parts, caller, { parent, name, directory: true });
  }
  rename(caller: Caller, move: fs.RenameNames): Maybe<void> {
    return names.rename(this.#parts, caller, move);
  }

  create(
    caller: Caller,
    parent: Ino,
    name: Buffer,
    how: fs.CreateFile,
  ): Maybe<fs.KnownEntry & fs.OpenedFile> {
    return this.#files.create(caller, parent, name, how);
  }
  createNameless(
    caller: Caller,
    parent: Ino,
    how: fs.CreateFile,
  ): Maybe<fs.KnownEntry & fs.OpenedFile> {
    return this.#files.createNameless(caller, parent, how);
  }
  open(caller: Caller, ino: Ino, how: fs.OpenHow): Maybe<fs.OpenedFile> {
    return reached(this.#parts, ino, () => this.#files.open(caller, ino, how));
  }
  read(ino: Ino, fh: bigint, offset: number, size: number): Maybe<readonly Uint8Array[]> {
    return this.#files.read(ino, fh, offset, size);
  }
  write(ino: Ino, fh: bigint, data: Uint8Array, how: fs.WriteHow): Maybe<number> {
    return this.#files.write(ino, fh, data, how);
  }
  flush(ino: Ino, _fh: bigint, lockOwner: bigint): Maybe<void> {
    const flushed = this.#parts.data.flush(ino);
    return this.#locks.hasOwner(ino, lockOwner)
      ? this.#dropRanges(ino, lockOwner, flushed)
      : flushed;
  }
  fsync(ino: Ino): Maybe<void> {
    return this.#parts.data.flush(ino);
  }
  release(ino: Ino, fh: bigint, lockOwner?: bigint): Maybe<void> {
    if (lockOwner === undefined && !this.#locks.hasHandle(ino, fh)) {
      return this.#files.release(ino, fh);
    }
    return this.#releaseLocked(ino, fh, lockOwner);
  }
  fallocate(caller: Caller, ino: Ino, fh: bigint, range: fs.Range): Maybe<void> {
    requireWritable(this.#parts, "fallocate");
    return this.#files.fallocate(caller, ino, fh, range);
  }
  copyFileRange(
    caller: Caller,
    from: fs.HandleRange,
    to: fs.HandleRange,
    length: number,
  ): Maybe<number> {
    requireWritable(this.#parts, "copy_file_range");
    return this.#files.copyRange(caller, from, to, length);
  }
  lseek(ino: Ino, fh: bigint, offset: number, whence: number): Maybe<number> {
    return this.#files.lseek(ino, fh, offset, whence);
  }

  async #readlink(ino: Ino): Promise<Buffer> {
    const target = await this.#parts.meta.readlink(ino);
    this.#parts.known.targets.set(ino, target);
    return target;
  }

  opendir(caller: Caller, shownIno: Ino): Maybe<fs.OpenedDirectory> {
    const ino = real(this.#parts, shownIno);
    return reached(this.#parts, ino, () => {
      const allowed = requireAccess(this.#parts, caller, ino, MAY_READ);
      return allowed instanceof Promise
        ? allowed.then(() => this.#opendir(ino))
        : this.#opendir(ino);
    });
  }
  #opendir(ino: Ino): fs.OpenedDirectory {
    const fh = ++this.#lastDirectory;
    const stream = new DirStream(this.#parts, ino);
    const { cache, keep } = this.#parts.known.listings.opened(ino, stream.listing);
    this.#directories.set(fh, { ino, stream, caches: cache });
    return { fh, cacheListing: cache, keepListing: keep };
  }
  /** Opened in a process before. */
  #reopen(ino: Ino, fh: bigint, offset: bigint): DirStream {
    const stream = new DirStream(this.#parts, real(this.#parts, ino));
    const told = offset === 0n ? undefined : this.#parts.listingNotes.takeOver(fh);
    if (told !== undefined) stream.goOn(told, offset);
    this.#directories.set(fh, { ino: real(this.#parts, ino), stream, caches: false });
    return stream;
  }
  readdir(
    ino: Ino,
    fh: bigint,
    from: fs.ReadFrom,
    emit: (entry: fs.ListedEntry) => boolean,
  ): Maybe<void> {
    const stream = this.#directories.get(fh)?.stream ?? this.#reopen(ino, fh, from.offset);
    const { listingNotes } = this.#parts;
    const read = (): Maybe<void> =>
      noting(listingNotes, fh, emit, (emitNoted) => stream.read(from, emitNoted));
    if (from.offset > 0n) return read();
    listingNotes.forget(fh);
    return this.#noted(real(this.#parts, ino), read);
  }
  /** A read of something that is no file. */
  #noted<T>(ino: Ino, read: () => Maybe<T>): Maybe<T> {
    if (this.#parts.options.atime === "noatime") return read();
    const attr = attrOf(this.#parts, ino);
    if (!(attr instanceof Promise) && !isDue(this.#parts, attr)) return read();
    return Promise.resolve(attr)
      .then((known) => noteRead(this.#parts, ino, known))
      .then(read);
  }
  releasedir(_ino: Ino, fh: bigint): Maybe<void> {
    const directory = this.#directories.get(fh);
    this.#directories.delete(fh);
    this.#parts.listingNotes.forget(fh);
    if (directory?.caches === true) this.#parts.known.listings.closed(directory.ino);
  }
  /** Every change of a directory is at the server when it is answered. */
  fsyncdir(): Maybe<void> {
    return undefined;
  }

  statfs(): Maybe<VolumeUsage> {
    return this.#parts.meta.statfs();
  }
  access(caller: Caller, ino: Ino, mask: number): Maybe<void> {
    return reached(this.#parts, ino, () => attributes.access(this.#parts, caller, ino, mask));
  }
  getFlags(ino: Ino): Maybe<number> {
    return attributes.getFlags(this.#parts, ino);
  }
  setFlags(caller: Caller, ino: Ino, flags: number): Maybe<void> {
    return attributes.setFlags(this.#parts, caller, ino, flags);
  }
  getxattr(caller: Caller, ino: Ino, name: Buffer): Maybe<Buffer> {
    return reached(this.#parts, ino, () => xattrs.getxattr(this.#parts, caller, ino, name));
  }
  listxattr(caller: Caller, ino: Ino): Maybe<Buffer[]> {
    return reached(this.#parts, ino, () => xattrs.listxattr(this.#parts, caller, ino));
  }
  setxattr(caller: Caller, ino: Ino, name: Buffer, how: fs.SetXattr): Maybe<void> {
    return reached(this.#parts, ino, () =>
      xattrs.setxattr(this.#parts, caller, ino, { name, ...how }),
    );
  }
  removexattr(caller: Caller, ino: Ino, name: Buffer): Maybe<void> {
    return reached(this.#parts, ino, () => xattrs.removexattr(this.#parts, caller, ino, name));
  }

  async flock(ino: Ino, _fh: bigint, request: fs.LockRequest): Promise<void> {
    const { lock } = request;
    // The next holder is to see what was written under the lock.
    if (lock.type === "unlock") await this.#parts.data.flush(ino);
    await this.#locks.setWhole(ino, request);
    if (lock.type !== "unlock") await this.#seeOthers(ino);
  }
  async setlk(ino: Ino, fh: bigint, request: fs.LockRequest): Promise<void> {
    const { lock } = request;
    if (lock.type === "unlock") await this.#parts.data.flush(ino);
    else this.#parts.handles.locked(fh, request.owner);
    await this.#locks.set(ino, fh, request);
    if (lock.type !== "unlock") await this.#seeOthers(ino);
  }
  getlk(ino: Ino, _fh: bigint, { owner, lock }: fs.LockRequest): Maybe<RangeLock | undefined> {
    return this.#parts.meta.getlk(ino, owner, lock);
  }

  /** Who takes a lock sees what the last holder wrote: notices of that were heard, what official clients did is looked for. */
  async #seeOthers(ino: Ino): Promise<void> {
    const { kernel, known, meta } = this.#parts;
    if (meta.trust !== "long") {
      known.forgetAttr(ino);
      await getattr(this.#parts, ino);
      kernel?.attrChanged(ino);
    } else if (known.attrs.last(ino) === undefined) {
      // The kernel may have them from a listing that nobody keeps.
      kernel?.attrChanged(ino);
    }
    await kernel?.settled();
  }

  async #dropRanges(ino: Ino, owner: bigint, flushed: Maybe<void>): Promise<void> {
    try {
      await flushed;
    } finally {
      await this.#locks.dropOwner(ino, owner);
    }
  }

  async #releaseLocked(ino: Ino, fh: bigint, flockOwner: bigint | undefined): Promise<void> {
    // Nobody waits for a release: what fails was told at the close, or is owed.
    await this.#files.flushQuietly(ino);
    if (flockOwner !== undefined)
      await this.#locks.dropWhole(ino, flockOwner).catch(() => undefined);
    await this.#locks.dropHandle(ino, fh).catch(() => undefined);
    await this.#files.release(ino, fh);
  }

  /** Stores whatever was written so far. @throws FsError the first failure */
  async flushAll(): Promise<void> {
    await this.#parts.data.flushAll();
  }

  async close(): Promise<void> {
    const { data, meta } = this.#parts;
    this.#owed.close();
    try {
      await data.drain();
    } finally {
      // What the session's end leaves to be deleted needs the store.
      await meta.close();
      await data.close();
    }
  }
}
