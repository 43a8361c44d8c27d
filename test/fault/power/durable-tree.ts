import { constants } from "node:os";
import { FsError } from "../../../src/base/fs-error.ts";
import type { Random } from "../../support/random.ts";
import { DurableFile } from "./durable-file.ts";

export const TYPE_MASK = 0o170000;
export const DIRECTORY = 0o040000;

/** A file, folder or socket. */
export interface Inode {
  readonly ino: bigint;
  mode: number;
  uid: number;
  gid: number;
  mtimeMs: number;
  /** Names that lead to it. */
  links: number;
  /** Mode and owner as they are on the disk. */
  durable: Pick<Inode, "mode" | "uid" | "gid">;
  readonly file: DurableFile;
  /** Of a folder; names as latin1, a character a byte. */
  names: Map<string, Inode>;
  durableNames: Map<string, Inode>;
}

/** What one system call does to names; on the disk it has happened as a whole or not at all. */
type Change = readonly { readonly folder: Inode; readonly name: string; readonly to?: Inode }[];

/**
 * A tree of folders that knows what was done, and what of it is on the disk: bytes of a file after its own fsync, a name after
 * the fsync of a folder that the call which made it changed. A disk may be kinder; this one keeps what POSIX says and no more.
 */
export class DurableTree {
  readonly root: Inode;
  readonly #inodes = new Map<bigint, Inode>();
  /** Not on the disk yet, in order. */
  #changes: Change[] = [];
  #last = 0n;

  constructor() {
    this.root = this.make(DIRECTORY | 0o755, { uid: 0, gid: 0 });
  }

  /** A new inode without a name. */
  make(mode: number, { uid, gid }: { uid: number; gid: number }): Inode {
    const inode: Inode = {
      ...{ ino: ++this.#last, mode, uid, gid, links: 0, mtimeMs: Date.now() },
      durable: { mode, uid, gid },
      ...{ file: new DurableFile(), names: new Map(), durableNames: new Map() },
    };
    this.#inodes.set(inode.ino, inode);
    return inode;
  }

  /** @throws FsError ESTALE */
  at(ino: bigint): Inode {
    return this.#inodes.get(ino) ?? refuse("ESTALE");
  }

  /** @throws FsError ENOENT */
  find(folder: Inode, name: string): Inode {
    return folder.names.get(name) ?? refuse("ENOENT");
  }

  link(folder: Inode, name: string, inode: Inode): void {
    if (folder.names.has(name)) refuse("EEXIST");
    this.#do([{ folder, name, to: inode }]);
  }

  unlink(folder: Inode, name: string): void {
    const inode = this.find(folder, name);
    if (inode.names.size > 0) refuse("ENOTEMPTY");
    this.#do([{ folder, name }]);
  }

  rename(from: { folder: Inode; name: string }, to: { folder: Inode; name: string }): void {
    const inode = this.find(from.folder, from.name);
    const there = to.folder.names.get(to.name);
    if (there === inode) return;
    if (there !== undefined && there.names.size > 0) refuse("ENOTEMPTY");
    this.#do([from, { ...to, to: inode }]);
  }

  syncFile(inode: Inode): void {
    inode.file.sync();
    inode.durable = { mode: inode.mode, uid: inode.uid, gid: inode.gid };
  }

  /** With a change everything goes to the disk that was done before in the folders it is about. */
  syncFolder(folder: Inode): void {
    const folders = new Set([folder]);
    const synced = new Set<Change>();
    for (const change of this.#changes.toReversed()) {
      if (!change.some((one) => folders.has(one.folder))) continue;
      for (const one of change) folders.add(one.folder);
      synced.add(change);
    }
    for (const change of this.#changes) if (synced.has(change)) apply(change, "durableNames");
    this.#changes = this.#changes.filter((change) => !synced.has(change));
    folder.durable = { mode: folder.mode, uid: folder.uid, gid: folder.gid };
  }

  /**
   * Only what was synced is left; nothing else for sure. With `chance` also some of the rest: the first changes of names, as a
   * disk with a journal does it, or any of them.
   */
  losePower(chance?: Random): void {
    if (chance !== undefined) {
      const inOrder = chance.below(2) === 1;
      const first = chance.below(this.#changes.length + 1);
      for (const [number, change] of this.#changes.entries()) {
        if (inOrder ? number < first : chance.below(2) === 1) apply(change, "durableNames");
      }
    }
    this.#changes = [];
    for (const inode of this.#inodes.values()) {
      inode.names = new Map(inode.durableNames);
      Object.assign(inode, inode.durable);
      inode.file.losePower(chance);
      inode.links = 0;
    }
    for (const inode of this.#reached(this.root)) inode.links++;
    for (const inode of this.#inodes.values())
      if (inode.links === 0) this.#inodes.delete(inode.ino);
  }

  #do(change: Change): void {
    for (const { folder, name, to } of change) {
      const before = folder.names.get(name);
      if (before !== undefined) before.links--;
      if (to !== undefined) to.links++;
      folder.mtimeMs = Date.now();
    }
    apply(change, "names");
    this.#changes.push(change);
  }

  *#reached(inode: Inode): Generator<Inode> {
    yield inode;
    for (const one of inode.names.values()) yield* this.#reached(one);
  }
}

function apply(change: Change, which: "names" | "durableNames"): void {
  for (const { folder, name, to } of change) {
    if (to === undefined) folder[which].delete(name);
    else folder[which].set(name, to);
  }
}

function refuse(code: keyof typeof constants.errno): never {
  throw new FsError(code, "disk");
}
