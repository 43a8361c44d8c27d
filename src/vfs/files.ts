import { constants } from "node:fs";
import { FsError } from "../base/fs-error.ts";
import type { Maybe } from "../base/maybe.ts";
import { FLAG_APPEND, FLAG_IMMUTABLE, isTrash, TYPE_DIRECTORY, TYPE_FILE } from "../meta/limits.ts";
import type { Attr, Caller, Ino } from "../meta/types.ts";
import { attrOf, truncate } from "./attributes.ts";
import type { ReadHandle } from "./file-data.ts";
import type {
  CreateFile,
  HandleRange,
  KnownEntry,
  OpenedFile,
  Range,
  WriteHow,
} from "./file-system.ts";
import type { OpenHandle } from "./handle-table.ts";
import { makeFile } from "./names.ts";
import { requireWritable, squashed, type VfsParts } from "./parts.ts";

/** An open file of this mount. */
interface FileHandle {
  readonly ino: Ino;
  readonly reader: ReadHandle;
  readonly flags: number;
}

const { O_ACCMODE, O_APPEND, O_EXCL, O_RDONLY, O_TRUNC } = { O_ACCMODE: 3, ...constants };
const NO_ONE = { uid: 0, gid: 0, pid: 0 };

/** Open files: handles, reading, writing. */
export class Files {
  readonly #parts: VfsParts;
  readonly #handles = new Map<bigint, FileHandle>();

  constructor(parts: VfsParts) {
    this.#parts = parts;
  }

  /** Takes over what a process before had open. */
  restore(handles: readonly OpenHandle[]): void {
    for (const { fh, ino, flags } of handles) this.#register(fh, ino, flags);
  }

  async create(
    caller: Caller,
    parent: Ino,
    name: Buffer,
    { flags, mode, umask }: CreateFile,
  ): Promise<KnownEntry & OpenedFile> {
    const exclusive = (flags & O_EXCL) !== 0;
    const node = { mode: mode & 0o7777, umask };
    const { entry, created } = await makeFile(this.#parts, caller, {
      parent,
      name,
      node,
      exclusive,
    });
    if (entry.attr.type === TYPE_DIRECTORY) throw new FsError("EISDIR", "create");
    if (!created && (flags & O_TRUNC) !== 0) {
      await truncate(this.#parts, NO_ONE, entry.ino, { size: 0, kill: false });
    }
    return { ...entry, ...this.#opened(entry.ino, entry.attr, flags) };
  }

  open(caller: Caller, ino: Ino, flags: number): Maybe<OpenedFile> {
    const attr = attrOf(this.#parts, ino);
    if (attr instanceof Promise || (flags & O_TRUNC) !== 0)
      return this.#openLater(caller, ino, flags);
    return this.#open(ino, attr, flags);
  }

  async #openLater(caller: Caller, ino: Ino, flags: number): Promise<OpenedFile> {
    const attr = await attrOf(this.#parts, ino);
    this.#check(ino, attr, flags);
    if ((flags & O_TRUNC) === 0 || attr.type !== TYPE_FILE) return this.#open(ino, attr, flags);
    await this.#parts.data.flush(ino);
    const who = squashed(this.#parts, caller);
    const mark = this.#parts.known.mark();
    const cut = await truncate(this.#parts, who, ino, { size: 0, kill: who.uid !== 0 });
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
    if ((attr.flags & FLAG_IMMUTABLE) !== 0 || isTrash(attr.parent))
      throw new FsError("EPERM", "open");
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
    return { fh, keepCache: unwritten || known.sameData(ino, attr), directIo };
  }

  #register(fh: bigint, ino: Ino, flags: number): void {
    const { data, meta } = this.#parts;
    this.#handles.set(fh, { ino, reader: data.openHandle(ino), flags });
    meta.openFiles.opened(ino);
    data.opened(ino);
  }

  read(ino: Ino, fh: bigint, offset: number, size: number): Maybe<readonly Uint8Array[]> {
    const { data } = this.#parts;
    const { reader } = this.#handle(fh);
    const attr = attrOf(this.#parts, ino);
    if (attr instanceof Promise) {
      return attr.then(({ length }) => data.read(reader, offset, size, data.length(ino, length)));
    }
    return data.read(reader, offset, size, data.length(ino, attr.length));
  }

  write(ino: Ino, fh: bigint, bytes: Uint8Array, how: WriteHow): Maybe<number> {
    const { data, known } = this.#parts;
    this.#handle(fh);
    if (how.killSuidGid) return this.#writeAfterKill(ino, bytes, how);
    const append = (how.flags & O_APPEND) !== 0;
    if (append) {
      const attr = known.attr(ino);
      if (attr === undefined) return this.#appendLater(ino, bytes, how);
      return after(data.write(ino, bytes, this.#end(ino, attr, how)), bytes.length);
    }
    const at = { offset: how.offset, append: false, unique: how.unique };
    return after(data.write(ino, bytes, at), bytes.length);
  }

  #end(
    ino: Ino,
    attr: Attr,
    { unique }: WriteHow,
  ): { offset: number; append: true; unique: bigint } {
    return { offset: this.#parts.data.length(ino, attr.length), append: true, unique };
  }

  async #appendLater(ino: Ino, bytes: Uint8Array, how: WriteHow): Promise<number> {
    const copy = Buffer.from(bytes);
    const attr = await attrOf(this.#parts, ino);
    await this.#parts.data.write(ino, copy, this.#end(ino, attr, how));
    return copy.length;
  }

  /** The first write of somebody who may not keep suid and sgid drops them. */
  async #writeAfterKill(ino: Ino, bytes: Uint8Array, how: WriteHow): Promise<number> {
    const copy = Buffer.from(bytes);
    const attr = await attrOf(this.#parts, ino);
    if ((attr.mode & 0o6000) !== 0) {
      const mark = this.#parts.known.mark();
      const cleared = await this.#parts.meta.setattr(NO_ONE, ino, { killSuidGid: true });
      this.#parts.known.attrs.learn(ino, cleared, mark);
    }
    const append = (how.flags & O_APPEND) !== 0;
    const at = append
      ? this.#end(ino, attr, how)
      : { offset: how.offset, append, unique: how.unique };
    await this.#parts.data.write(ino, copy, at);
    return copy.length;
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
    const flushed = this.#flushQuietly(ino);
    const attr = this.#parts.known.attr(ino);
    if (!(flushed instanceof Promise) && attr !== undefined && attr.nlink > 0) {
      data.closed(ino);
      return undefined;
    }
    return this.#releaseLast(ino, flushed);
  }

  async #releaseLast(ino: Ino, flushed: Maybe<void>): Promise<void> {
    await flushed;
    const { data, known, meta } = this.#parts;
    data.closed(ino);
    const attr = known.attr(ino) ?? (await meta.getattr(ino).catch(() => undefined));
    if (attr?.nlink !== 0 || meta.openFiles.has(ino)) return;
    known.forgetAttr(ino);
    await meta.forgetOpen(ino);
  }

  /** A failure was told at close; release has nobody to tell. */
  #flushQuietly(ino: Ino): Maybe<void> {
    try {
      const flushed = this.#parts.data.flush(ino);
      return flushed instanceof Promise ? flushed.catch(() => undefined) : undefined;
    } catch {
      return undefined;
    }
  }

  async fallocate(ino: Ino, fh: bigint, mode: number, { offset, length }: Range): Promise<void> {
    this.#handle(fh);
    const { data, known, meta } = this.#parts;
    await data.flush(ino);
    const mark = known.mark();
    const attr = await meta.fallocate(ino, mode, offset, length);
    data.invalidate(ino);
    known.sawData(ino, attr);
    known.attrs.learn(ino, attr, mark);
  }

  async copyRange(from: HandleRange, to: HandleRange, length: number): Promise<number> {
    this.#handle(from.fh);
    this.#handle(to.fh);
    const { data, known, meta } = this.#parts;
    const overlap =
      from.ino === to.ino && from.offset < to.offset + length && to.offset < from.offset + length;
    if (overlap) throw new FsError("EINVAL", "copy_file_range");
    await data.flush(from.ino);
    await data.flush(to.ino);
    const mark = known.mark();
    const { copied, attr } = await meta.copyRange(from, to, length);
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

function after(done: Maybe<void>, count: number): Maybe<number> {
  return done instanceof Promise ? done.then(() => count) : count;
}
