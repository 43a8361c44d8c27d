import { constants } from "node:fs";
import { FsError } from "../base/fs-error.ts";
import type { Maybe } from "../base/maybe.ts";
import {
  FILE_SIZE_MAX,
  FLAG_APPEND,
  FLAG_IMMUTABLE,
  isTrash,
  TYPE_DIRECTORY,
  TYPE_FILE,
} from "../meta/limits.ts";
import type { Attr, Caller, Ino } from "../meta/types.ts";
import { isDue, noteRead } from "./access-times.ts";
import { attrOf } from "./attr-of.ts";
import { truncate } from "./attributes.ts";
import type { ReadHandle } from "./file-data.ts";
import type {
  CreateFile,
  HandleRange,
  KnownEntry,
  OpenedFile,
  OpenHow,
  Range,
  WriteHow,
} from "./file-system.ts";
import type { OpenHandle } from "./handle-table.ts";
import { makeFile, makeNameless } from "./names.ts";
import type { Owed } from "./owed.ts";
import { requireWritable, squashed, type VfsParts } from "./parts.ts";
import { MAY_READ, MAY_SEARCH, MAY_WRITE, mayAccess, requireAccess } from "./permission.ts";
import { dropCapabilities } from "./xattrs.ts";

/** An open file of this mount. */
interface FileHandle {
  readonly ino: Ino;
  readonly reader: ReadHandle;
  readonly flags: number;
  /** Nothing that a write takes away was looked for yet. */
  armed: boolean;
}

const { O_APPEND, O_DSYNC, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } = constants;
const O_ACCMODE = O_WRONLY | O_RDWR;
/** The kernel opens a file to run it (FMODE_EXEC). */
const O_EXEC = 0x20;
const NO_ONE = { uid: 0, gid: 0, pid: 0 };

/** Open files: handles, reading, writing. */
export class Files {
  readonly #parts: VfsParts;
  readonly #owed: Owed;
  readonly #handles = new Map<bigint, FileHandle>();

  constructor(parts: VfsParts, owed: Owed) {
    this.#parts = parts;
    this.#owed = owed;
  }

  /** Takes over what a process before had open. */
  restore(handles: readonly OpenHandle[]): void {
    for (const { fh, ino, flags } of handles) this.#register(fh, ino, flags);
  }

  async create(
    caller: Caller,
    parent: Ino,
    name: Buffer,
    { flags, mode, umask, killSuidGid }: CreateFile,
  ): Promise<KnownEntry & OpenedFile> {
    const { entry, created } = await makeFile(this.#parts, caller, {
      ...{ parent, name, node: { mode: mode & 0o7777, umask } },
      exclusive: (flags & O_EXCL) !== 0,
    });
    if (created) return { ...entry, ...this.#opened(entry.ino, entry.attr, flags) };
    await this.#hearAll(entry.ino);
    await this.#requireOpenable(caller, entry.attr, flags);
    return { ...entry, ...(await this.#openLater(caller, entry.ino, { flags, killSuidGid })) };
  }

  /** A file without a name. */
  async createNameless(
    caller: Caller,
    parent: Ino,
    { flags, mode, umask }: CreateFile,
  ): Promise<KnownEntry & OpenedFile> {
    const entry = await makeNameless(this.#parts, caller, parent, { mode: mode & 0o7777, umask });
    return { ...entry, ...this.#opened(entry.ino, entry.attr, flags) };
  }

  /**
   * Somebody else made the name since the kernel looked: nobody has checked yet who may open what is there. What is no file the
   * kernel looks for once more, as it does on ESTALE.
   */
  async #requireOpenable(caller: Caller, attr: Attr, flags: number): Promise<void> {
    if (attr.type === TYPE_DIRECTORY) throw new FsError("EISDIR", "create");
    if (attr.type !== TYPE_FILE) throw new FsError("ESTALE", "create");
    const who = squashed(this.#parts, caller);
    if (!(await mayAccess(this.#parts, who, attr, maskOf(flags)))) {
      throw new FsError("EACCES", "create");
    }
  }

  /** Who opens a file finds what others had stored by then, behind the name that they had given it. */
  open(caller: Caller, ino: Ino, how: OpenHow): Maybe<OpenedFile> {
    const heard = this.#hearAll(ino);
    if (heard !== undefined) return heard.then(() => this.#openHeard(caller, ino, how));
    return this.#openHeard(caller, ino, how);
  }

  #hearAll(ino: Ino): Maybe<void> {
    const heard = this.#parts.meta.heardAll(this.#parts.options.openCacheMs);
    return heard === true ? undefined : this.#hearLater(ino, heard);
  }

  async #hearLater(ino: Ino, heard: Maybe<boolean>): Promise<void> {
    if (await heard) return;
    this.#parts.data.invalidate(ino);
    this.#parts.known.forgetAttr(ino);
  }

  #openHeard(caller: Caller, ino: Ino, how: OpenHow): Maybe<OpenedFile> {
    if (this.#parts.known.replaced.sends(ino, caller.pid)) {
      this.#parts.gone.walkAnew();
      throw new FsError("ESTALE", `open inode ${ino}`);
    }
    const attr = attrOf(this.#parts, ino);
    const later = attr instanceof Promise || (how.flags & O_TRUNC) !== 0;
    if (later || this.#parts.options.checks) return this.#openLater(caller, ino, how);
    return this.#open(ino, attr, how.flags);
  }

  async #openLater(caller: Caller, ino: Ino, { flags, killSuidGid }: OpenHow): Promise<OpenedFile> {
    await requireAccess(this.#parts, caller, ino, maskOf(flags));
    const attr = await attrOf(this.#parts, ino);
    this.#check(ino, attr, flags);
    if ((flags & O_TRUNC) === 0 || attr.type !== TYPE_FILE) return this.#open(ino, attr, flags);
    await this.#parts.data.flush(ino);
    const who = squashed(this.#parts, caller);
    const mark = this.#parts.known.mark();
    const cut = await truncate(this.#parts, who, ino, { size: 0, killSuidGid });
    this.#parts.known.attrs.learn(ino, cut, mark);
    return this.#open(ino, cut, flags);
  }

  #open(ino: Ino, attr: Attr, flags: number): OpenedFile {
    this.#check(ino, attr, flags);
    return this.#opened(ino, attr, flags);
  }

  #check(ino: Ino, attr: Attr, flags: number): void {
    const writes = (flags & O_ACCMODE) !== O_RDONLY;
    if (!writes && (flags & O_TRUNC) === 0) return;
    requireWritable(this.#parts, "open");
    // Who has a file open that was removed may open it again through his descriptor.
    const removed = isTrash(attr.parent) && !this.#parts.meta.openFiles.has(ino);
    if ((attr.flags & FLAG_IMMUTABLE) !== 0 || removed) throw new FsError("EPERM", "open");
    const appends = (flags & O_APPEND) !== 0 && (flags & O_TRUNC) === 0;
    if ((attr.flags & FLAG_APPEND) !== 0 && !appends)
      throw new FsError("EPERM", `open inode ${ino}`);
  }

  #opened(ino: Ino, attr: Attr, flags: number): OpenedFile {
    const { data, handles, known } = this.#parts;
    const fh = handles.opened(ino, flags);
    this.#register(fh, ino, flags);
    const directIo = (flags & O_APPEND) !== 0;
    const unwritten = data.pendingMtime(ino) !== undefined;
    const same = known.sameData(ino, attr);
    // A read that is to be noted must be seen.
    return { fh, keepCache: unwritten || (same && !isDue(this.#parts, attr)), directIo };
  }

  #register(fh: bigint, ino: Ino, flags: number): void {
    const { data, meta } = this.#parts;
    this.#handles.set(fh, { ino, reader: data.openHandle(ino), flags, armed: true });
    meta.openFiles.opened(ino);
    data.opened(ino);
  }

  read(ino: Ino, fh: bigint, offset: number, size: number): Maybe<readonly Uint8Array[]> {
    const { data } = this.#parts;
    const { reader } = this.#handle(fh);
    const attr = attrOf(this.#parts, ino);
    if (attr instanceof Promise || isDue(this.#parts, attr)) {
      return this.#readLater(reader, offset, size);
    }
    return data.read(reader, offset, size, data.length(ino, attr.length));
  }

  async #readLater(
    reader: ReadHandle,
    offset: number,
    size: number,
  ): Promise<readonly Uint8Array[]> {
    const { ino } = reader;
    const attr = await attrOf(this.#parts, ino);
    await noteRead(this.#parts, ino, attr);
    const { data } = this.#parts;
    return data.read(reader, offset, size, data.length(ino, attr.length));
  }

  write(ino: Ino, fh: bigint, bytes: Uint8Array, how: WriteHow): Maybe<number> {
    const handle = this.#handle(fh);
    const attr = this.#parts.known.attr(ino);
    const disarms = how.killSuidGid || (handle.armed && this.#parts.options.capabilities);
    if (attr === undefined || disarms) return this.#writeLater(handle, bytes, how);
    return this.#write(ino, attr, bytes, how);
  }

  async #writeLater(handle: FileHandle, bytes: Uint8Array, how: WriteHow): Promise<number> {
    const { ino } = handle;
    const copy = Buffer.from(bytes);
    const attr = await attrOf(this.#parts, ino);
    // The first write of somebody who may not keep suid and sgid drops them.
    if (how.killSuidGid && (attr.mode & 0o6000) !== 0) {
      const mark = this.#parts.known.mark();
      const cleared = await this.#parts.meta.setattr(NO_ONE, ino, { killSuidGid: true });
      this.#parts.known.attrs.learn(ino, cleared, mark);
    }
    if (handle.armed) await dropCapabilities(this.#parts, ino);
    handle.armed = false;
    return this.#write(ino, attr, copy, how);
  }

  #write(ino: Ino, attr: Attr, bytes: Uint8Array, how: WriteHow): Maybe<number> {
    const { data } = this.#parts;
    if ((attr.flags & FLAG_IMMUTABLE) !== 0) throw new FsError("EPERM", "write");
    const append = (how.flags & O_APPEND) !== 0;
    const offset = append ? data.length(ino, attr.length) : how.offset;
    const room = FILE_SIZE_MAX - offset;
    if (room <= 0 && bytes.length > 0) throw new FsError("EFBIG", "write");
    const part = bytes.length > room ? bytes.subarray(0, room) : bytes;
    const written = after(
      data.write(ino, part, { offset, append, unique: how.unique }),
      part.length,
    );
    // The kernel asks for an fsync after a synchronous write through its cache; these pass it by.
    if (!append || (how.flags & O_DSYNC) === 0) return written;
    return this.#stored(ino, written);
  }

  async #stored(ino: Ino, written: Maybe<number>): Promise<number> {
    const count = await written;
    await this.#parts.data.flush(ino);
    return count;
  }

  release(ino: Ino, fh: bigint): Maybe<void> {
    const handle = this.#handles.get(fh);
    if (handle === undefined) return undefined;
    this.#handles.delete(fh);
    const { data, handles, meta } = this.#parts;
    handles.closed(fh);
    data.closeHandle(handle.reader);
    if (!meta.openFiles.closed(ino)) {
      data.closed(ino);
      return undefined;
    }
    const flushed = this.flushQuietly(ino);
    const attr = this.#parts.known.attr(ino);
    if (!(flushed instanceof Promise) && attr !== undefined && attr.nlink > 0) {
      data.closed(ino);
      return undefined;
    }
    return this.#releaseLast(ino, flushed);
  }

  async #releaseLast(ino: Ino, flushed: Maybe<void>): Promise<void> {
    await flushed;
    this.#parts.data.closed(ino);
    await this.#owed.do(`open ${ino}`, () => this.#forgetNameless(ino));
  }

  async #forgetNameless(ino: Ino): Promise<void> {
    const { known, meta } = this.#parts;
    const attr = known.attr(ino) ?? (await meta.getattr(ino));
    // What lies in the trash has no name either, but it stays.
    if (attr.nlink !== 0 || isTrash(attr.parent) || meta.openFiles.has(ino)) return;
    known.forgetAttr(ino);
    await meta.forgetOpen(ino);
  }

  /** A failure was told at close; release has nobody to tell. */
  flushQuietly(ino: Ino): Maybe<void> {
    try {
      const flushed = this.#parts.data.flush(ino);
      return flushed instanceof Promise ? flushed.catch(() => undefined) : undefined;
    } catch {
      return undefined;
    }
  }

  async fallocate(caller: Caller, ino: Ino, fh: bigint, range: Range): Promise<void> {
    this.#handle(fh);
    const { data, known, meta } = this.#parts;
    const killSuidGid = squashed(this.#parts, caller).uid !== 0;
    await data.flush(ino);
    await dropCapabilities(this.#parts, ino);
    const mark = known.mark();
    const attr = await meta.fallocate(ino, range.mode, { ...range, killSuidGid });
    data.invalidate(ino);
    known.sawData(ino, attr);
    known.attrs.learn(ino, attr, mark);
  }

  async copyRange(
    caller: Caller,
    from: HandleRange,
    to: HandleRange,
    length: number,
  ): Promise<number> {
    this.#handle(from.fh);
    this.#handle(to.fh);
    const { data, known, meta } = this.#parts;
    const overlap =
      from.ino === to.ino && from.offset < to.offset + length && to.offset < from.offset + length;
    if (overlap) throw new FsError("EINVAL", "copy_file_range");
    await data.flush(from.ino);
    await data.flush(to.ino);
    const kill = squashed(this.#parts, caller).uid !== 0;
    const mark = known.mark();
    const { copied, attr } = await meta.copyRange(from, to, length, kill);
    data.invalidate(to.ino);
    known.sawData(to.ino, attr);
    known.attrs.learn(to.ino, attr, mark);
    return copied;
  }

  async lseek(ino: Ino, fh: bigint, offset: number, whence: number): Promise<number> {
    this.#handle(fh);
    if (whence !== 3 && whence !== 4) throw new FsError("EINVAL", "lseek");
    const { data } = this.#parts;
    await data.flush(ino);
    const { length } = await attrOf(this.#parts, ino);
    if (offset >= length) throw new FsError("ENXIO", "lseek");
    const found = await data.seek(ino, offset, whence === 3 ? "data" : "hole", length);
    if (found === undefined) throw new FsError("ENXIO", "lseek");
    return found;
  }

  #handle(fh: bigint): FileHandle {
    const handle = this.#handles.get(fh);
    if (handle === undefined) throw new FsError("EBADF", `file handle ${fh}`);
    return handle;
  }
}

/** What opening with these flags asks for. */
function maskOf(flags: number): number {
  const access = flags & O_ACCMODE;
  const reads = access !== O_WRONLY ? MAY_READ : 0;
  const writes = access !== O_RDONLY || (flags & O_TRUNC) !== 0 ? MAY_WRITE : 0;
  return (flags & O_EXEC) === 0 ? reads | writes : MAY_SEARCH;
}

function after(done: Maybe<void>, count: number): Maybe<number> {
  return done instanceof Promise ? done.then(() => count) : count;
}
