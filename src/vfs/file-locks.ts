import type { Meta } from "../meta/meta.ts";
import type { Ino, RangeLock } from "../meta/types.ts";
import type { LockRequest } from "./file-system.ts";
import type { OpenHandle } from "./handle-table.ts";
import type { Owed } from "./owed.ts";

const EVERYTHING: RangeLock = { type: "unlock", start: 0n, end: (1n << 63n) - 1n, pid: 0 };

function wholeKey(ino: Ino, owner: bigint): string {
  return `flock ${ino} ${owner}`;
}

function rangesKey(ino: Ino, owner: bigint): string {
  return `ranges ${ino} ${owner}`;
}

/**
 * Locks of this mount. Byte ranges of a process go when it closes any descriptor of the file (flush); those of
 * an open file when its last descriptor is closed (release), which tells no owner: so which handle they came through is remembered.
 */
export class FileLocks {
  readonly #meta: Pick<Meta, "flock" | "setlk">;
  readonly #owed: Owed;
  /** Handles that each owner has taken locks through. */
  readonly #owners = new Map<Ino, Map<bigint, Set<bigint>>>();
  /** A process before took locks on these; whose they are nobody here knows. */
  readonly #inherited = new Set<Ino>();

  constructor(meta: Pick<Meta, "flock" | "setlk">, owed: Owed) {
    this.#meta = meta;
    this.#owed = owed;
  }

  inherit(inodes: readonly Ino[], handles: readonly OpenHandle[]): void {
    for (const ino of inodes) this.#inherited.add(ino);
    for (const { fh, ino, lockOwner = 0n } of handles) {
      if (lockOwner !== 0n && this.#inherited.has(ino)) this.#remember(ino, fh, lockOwner);
    }
  }

  /** flock(2). */
  async setWhole(ino: Ino, { owner, lock, wait }: LockRequest): Promise<void> {
    await this.#owed.settle(wholeKey(ino, owner));
    await this.#meta.flock(ino, owner, lock.type, wait);
  }

  /** The descriptor that was locked by flock(2) is closed. */
  async dropWhole(ino: Ino, owner: bigint): Promise<void> {
    await this.#owed.do(wholeKey(ino, owner), () => this.#meta.flock(ino, owner, "unlock"));
  }

  async set(ino: Ino, fh: bigint, { owner, lock, wait }: LockRequest): Promise<void> {
    await this.#owed.settle(rangesKey(ino, owner));
    if (lock.type !== "unlock") this.#remember(ino, fh, owner);
    await this.#meta.setlk(ino, owner, lock, wait);
  }

  /** True when a flush by `owner` has locks to drop. */
  hasOwner(ino: Ino, owner: bigint): boolean {
    return this.#owners.get(ino)?.has(owner) === true || this.#inherited.has(ino);
  }

  /** True when the release of a handle has locks to drop. */
  hasHandle(ino: Ino, fh: bigint): boolean {
    const owners = this.#owners.get(ino);
    return owners !== undefined && [...owners.values()].some((handles) => handles.has(fh));
  }

  async dropOwner(ino: Ino, owner: bigint): Promise<void> {
    this.#forget(ino, owner);
    await this.#owed.do(rangesKey(ino, owner), () => this.#meta.setlk(ino, owner, EVERYTHING));
  }

  async dropHandle(ino: Ino, fh: bigint): Promise<void> {
    for (const [owner, handles] of this.#owners.get(ino) ?? []) {
      if (handles.delete(fh) && handles.size === 0) await this.dropOwner(ino, owner);
    }
  }

  #remember(ino: Ino, fh: bigint, owner: bigint): void {
    const owners = this.#owners.get(ino) ?? new Map<bigint, Set<bigint>>();
    this.#owners.set(ino, owners);
    owners.set(owner, (owners.get(owner) ?? new Set()).add(fh));
  }

  #forget(ino: Ino, owner: bigint): void {
    const owners = this.#owners.get(ino);
    owners?.delete(owner);
    if (owners?.size === 0) this.#owners.delete(ino);
  }
}
