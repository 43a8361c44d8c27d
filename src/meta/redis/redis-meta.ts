import type { Maybe } from "../../base/maybe.ts";
import type { Format } from "../format.ts";
import type {
  AclKind,
  AllocatedRange,
  Changed,
  ChunkReplacement,
  Copied,
  DirBatch,
  FilePosition,
  Found,
  Inherited,
  Meta,
  NoticeCounts,
  Removed,
  Rename,
  Renamed,
  TruncateHow,
  Trust,
  XattrValue,
} from "../meta.ts";
import type * as types from "../types.ts";
import { aclRule, setAcl } from "./acl.ts";
import { forgetOpen } from "./cleanup.ts";
import { compactChunks } from "./compact.ts";
import type { MetaContext } from "./context.ts";
import * as creating from "./create.ts";
import * as data from "./data.ts";
import { flock } from "./flock.ts";
import { weakPoints } from "./durability.ts";
import { inherited } from "./inherited.ts";
import { getlk, setlk } from "./plock.ts";
import * as reading from "./lookup.ts";
import { pathsOf } from "./paths.ts";
import type { Notices } from "./notices.ts";
import * as removing from "./remove.ts";
import { rename } from "./rename.ts";
import { setattr, touchAtime } from "./setattr.ts";
import { statfs } from "./statfs.ts";
import { RedisUpkeep } from "./upkeep.ts";
import * as xattrs from "./xattr.ts";

type Ino = types.Ino;
type Caller = types.Caller;
type Attr = types.Attr;

/** `Meta` on Redis: binds the operations, holds no logic. */
export class RedisMeta implements Meta {
  readonly #context: MetaContext;
  readonly #notices: Notices;
  readonly #close: () => Promise<void>;
  readonly upkeep: RedisUpkeep;

  constructor(context: MetaContext, notices: Notices, close: () => Promise<void>) {
    this.#context = context;
    this.#notices = notices;
    this.#close = close;
    this.upkeep = new RedisUpkeep(context);
  }

  get format(): Format {
    return this.#context.format();
  }
  get sid(): bigint {
    return this.#context.sid;
  }
  get trust(): Trust {
    return this.#notices.trust;
  }
  get ownChanges(): number {
    return this.#context.answers.changes;
  }
  get noticeCounts(): NoticeCounts {
    return { ...this.#notices.counts };
  }
  get lastNotice(): string | undefined {
    return this.#notices.last;
  }
  heardAll(withinMs: number): Maybe<boolean> {
    return this.#notices.heardAll(withinMs);
  }
  get openFiles(): MetaContext["openFiles"] {
    return this.#context.openFiles;
  }

  lookup(parent: Ino, name: Buffer): Promise<Found> {
    return reading.lookup(this.#context, parent, name);
  }
  getattr(ino: Ino): Promise<Attr> {
    return reading.getattr(this.#context, ino);
  }
  getattrs(inodes: readonly Ino[]): Promise<(Attr | undefined)[]> {
    return reading.getattrs(this.#context, inodes);
  }
  setattr(caller: Caller, ino: Ino, change: types.AttrChange): Promise<Attr> {
    return setattr(this.#context, caller, ino, change);
  }
  create(caller: Caller, parent: Ino, name: Buffer, node: types.NewNode): Promise<Changed> {
    return creating.create(this.#context, caller, parent, { name, node });
  }
  createNameless(
    caller: Caller,
    parent: Ino,
    node: Pick<types.NewNode, "mode" | "umask">,
  ): Promise<types.Entry> {
    return creating.createNameless(this.#context, caller, parent, node);
  }
  link(caller: Caller, ino: Ino, parent: Ino, name: Buffer): Promise<Changed> {
    return creating.link(this.#context, caller, ino, { parent, name });
  }
  unlink(caller: Caller, parent: Ino, name: Buffer, known?: Ino): Promise<Removed> {
    return removing.remove(this.#context, caller, { parent, name, directory: false, known });
  }
  rmdir(caller: Caller, parent: Ino, name: Buffer, known?: Ino): Promise<Removed> {
    return removing.remove(this.#context, caller, { parent, name, directory: true, known });
  }
  removeForGood(
    caller: Caller,
    parent: Ino,
    name: Buffer,
    what: { directory: boolean; known?: Ino | undefined },
  ): Promise<Removed> {
    return removing.remove(this.#context, caller, { parent, name, ...what, skipTrash: true });
  }
  rename(caller: Caller, move: Rename): Promise<Renamed> {
    return rename(this.#context, caller, move);
  }
  readlink(ino: Ino): Promise<Buffer> {
    return reading.readlink(this.#context, ino);
  }
  readdir(ino: Ino, cursor: string, plus: boolean): Promise<DirBatch> {
    return reading.readdir(this.#context, ino, cursor, plus);
  }
  paths(ino: Ino): Promise<string[]> {
    return pathsOf(this.#context.client, ino);
  }
  readChunk(ino: Ino, chunkIndex: number): Promise<types.Slice[]> {
    return data.readChunk(this.#context, ino, chunkIndex);
  }
  nextChunk(ino: Ino, from: number, end: number): Promise<number | undefined> {
    return data.nextChunk(this.#context, ino, from, end);
  }
  newSliceId(): Maybe<bigint> {
    return this.#context.counters.nextSlice();
  }
  commitSlices(commits: readonly types.SliceCommit[]): Promise<types.CommitOutcome[]> {
    return data.commitSlices(this.#context, commits);
  }
  compactChunks(replacements: readonly ChunkReplacement[]): Promise<boolean[]> {
    return compactChunks(this.#context, replacements);
  }

  abandonSlice(id: bigint, size: number): Promise<boolean> {
    return data.abandonSlice(this.#context, id, size);
  }
  truncate(caller: Caller, ino: Ino, length: number, how: TruncateHow = {}): Promise<Attr> {
    return data.truncate(this.#context, caller, ino, { length, ...how });
  }
  fallocate(ino: Ino, mode: number, range: AllocatedRange): Promise<Attr> {
    return data.fallocate(this.#context, ino, mode, range);
  }
  copyRange(
    from: FilePosition,
    to: FilePosition,
    length: number,
    killSuidGid = false,
  ): Promise<Copied> {
    return data.copyRange(this.#context, from, to, { length, killSuidGid });
  }
  aclRule(id: number): Promise<Buffer | undefined> {
    return aclRule(this.#context, id);
  }
  setAcl(caller: Caller, ino: Ino, kind: AclKind, rule?: Buffer): Promise<Attr> {
    return setAcl(this.#context, caller, ino, { kind, rule });
  }
  touchAtime(ino: Ino, relative: boolean): Promise<Attr> {
    return touchAtime(this.#context, ino, relative);
  }
  xattrs(ino: Ino): Promise<Map<string, Buffer> | undefined> {
    return xattrs.allXattrs(this.#context, ino);
  }
  getxattr(ino: Ino, name: Buffer): Promise<Buffer> {
    return xattrs.getxattr(this.#context, ino, name);
  }
  listxattr(ino: Ino): Promise<Buffer[]> {
    return xattrs.listxattr(this.#context, ino);
  }
  setxattr(ino: Ino, name: Buffer, how: XattrValue, unique?: bigint): Promise<Attr> {
    return xattrs.changeXattr(this.#context, ino, { name, ...how, unique });
  }
  removexattr(ino: Ino, name: Buffer, unique?: bigint): Promise<Attr> {
    return xattrs.changeXattr(this.#context, ino, { name, flags: 0, unique });
  }
  flock(ino: Ino, owner: bigint, type: types.LockType, wait?: AbortSignal): Promise<void> {
    return flock(this.#context, ino, { owner, type, wait });
  }
  setlk(ino: Ino, owner: bigint, lock: types.RangeLock, wait?: AbortSignal): Promise<void> {
    return setlk(this.#context, ino, { owner, lock, wait });
  }
  getlk(ino: Ino, owner: bigint, lock: types.RangeLock): Promise<types.RangeLock | undefined> {
    return getlk(this.#context, ino, owner, lock);
  }
  statfs(): Promise<types.VolumeUsage> {
    return statfs(this.#context);
  }
  weakPoints(): Promise<string[]> {
    return weakPoints(this.#context.client);
  }
  inherited(): Promise<Inherited> {
    return inherited(this.#context);
  }
  forgetOpen(ino: Ino): Promise<void> {
    return forgetOpen(this.#context, ino);
  }
  close(): Promise<void> {
    return this.#close();
  }
}
