import { FsError } from "../../../src/base/fs-error.ts";
import { FATTR_GID, FATTR_MODE, FATTR_SIZE, FATTR_UID } from "../../../src/fuse/abi.ts";
import type {
  EntryOut,
  FuseAttr,
  MakeIn,
  Operations,
  RequestHeader,
} from "../../../src/fuse/operations.ts";
import { DIRECTORY, TYPE_MASK, type DurableTree, type Inode } from "./durable-tree.ts";

/** What the kernel knows is true: nobody but the kernel changes anything. */
const TTL_MS = 60_000;
const REGULAR = 0o100000;
/** O_DSYNC; O_SYNC has its bit too. */
const O_DSYNC = 0o10000;
const BLOCKS = 1 << 24;

/** The tree as the kernel asks for it. What is missing here is answered ENOSYS, for which the kernel has its own ways. */
export function diskOperations(tree: DurableTree): Partial<Operations> {
  const entry = (inode: Inode): EntryOut => ({
    ...{ nodeid: inode.ino, entryTtlMs: TTL_MS, attrTtlMs: TTL_MS, attr: attrOf(inode) },
  });
  const make = (header: RequestHeader, { name, mode }: MakeIn): EntryOut => {
    const folder = tree.at(header.nodeid);
    const inode = tree.make(mode, header);
    tree.link(folder, text(name), inode);
    return entry(inode);
  };
  const remove = (header: RequestHeader, name: Buffer): void => {
    tree.unlink(tree.at(header.nodeid), text(name));
  };
  const open = (): { fh: bigint; openFlags: number } => ({ fh: 0n, openFlags: 0 });
  const nothing = (): void => undefined;
  return {
    lookup: (header, name) => entry(tree.find(tree.at(header.nodeid), text(name))),
    getattr: (header) => ({ attrTtlMs: TTL_MS, attr: attrOf(tree.at(header.nodeid)) }),
    setattr(header, { valid, mode, uid, gid, size }) {
      const inode = tree.at(header.nodeid);
      if ((valid & FATTR_MODE) !== 0) inode.mode = (inode.mode & TYPE_MASK) | (mode & ~TYPE_MASK);
      if ((valid & FATTR_UID) !== 0) inode.uid = uid;
      if ((valid & FATTR_GID) !== 0) inode.gid = gid;
      if ((valid & FATTR_SIZE) !== 0) inode.file.truncate(size);
      return { attrTtlMs: TTL_MS, attr: attrOf(inode) };
    },
    mknod: make,
    mkdir: (header, input) => make(header, { ...input, mode: DIRECTORY | input.mode }),
    create: (header, input) => ({
      ...make(header, { ...input, mode: REGULAR | input.mode, rdev: 0 }),
      ...open(),
    }),
    link(header, { name, nodeid }) {
      const inode = tree.at(nodeid);
      tree.link(tree.at(header.nodeid), text(name), inode);
      return entry(inode);
    },
    unlink: remove,
    rmdir: remove,
    rename(header, { name, newDir, newName, flags }) {
      if (flags !== 0) throw new FsError("EINVAL", "rename");
      const from = { folder: tree.at(header.nodeid), name: text(name) };
      tree.rename(from, { folder: tree.at(newDir), name: text(newName) });
    },
    open,
    opendir: open,
    read: (header, { offset, size }) => [tree.at(header.nodeid).file.read(offset, size)],
    write(header, { offset, data, flags }) {
      const inode = tree.at(header.nodeid);
      inode.file.write(offset, data);
      inode.mtimeMs = Date.now();
      if ((flags & O_DSYNC) !== 0) tree.syncFile(inode);
      return data.length;
    },
    readdir(header, { offset, reply }) {
      const names = [...tree.at(header.nodeid).names];
      for (let at = Number(offset); at < names.length; at++) {
        const [name, { ino, mode }] = names[at] as [string, Inode];
        const type = (mode & TYPE_MASK) >> 12;
        const one = { name: Buffer.from(name, "latin1"), ino, type, offset: BigInt(at + 1) };
        if (!reply.add(one)) break;
      }
    },
    fsync: (header) => {
      tree.syncFile(tree.at(header.nodeid));
    },
    fsyncdir: (header) => {
      tree.syncFolder(tree.at(header.nodeid));
    },
    statfs: () => ({
      ...{ blocks: BLOCKS, freeBlocks: BLOCKS, files: BLOCKS, freeFiles: BLOCKS, blockBytes: 4096 },
    }),
    ...{ flush: nothing, release: nothing, releasedir: nothing },
  };
}

function attrOf({ ino, mode, uid, gid, mtimeMs, links, file }: Inode): FuseAttr {
  const time = { sec: Math.floor(mtimeMs / 1000), nsec: Math.floor(mtimeMs % 1000) * 1_000_000 };
  return {
    ...{ ino, mode, uid, gid, size: file.size, nlink: links, rdev: 0 },
    ...{ atime: time, mtime: time, ctime: time },
  };
}

function text(name: Buffer): string {
  return name.toString("latin1");
}
