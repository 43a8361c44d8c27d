import { Pending, type PendingToken } from "../base/pending.ts";
import { Opcode } from "./abi.ts";

/**
 * Requests that are not answered yet, while which the kernel holds a lock that a message to it may have to wait for: a
 * directory is locked while something is done with its names, pages of a file while they are read or written.
 */

/** With the lock of the directory, or of the inode, that the request is for. */
const LOCKING = new Set<number>([
  ...[Opcode.LOOKUP, Opcode.CREATE, Opcode.MKNOD, Opcode.MKDIR, Opcode.SYMLINK, Opcode.LINK],
  ...[Opcode.UNLINK, Opcode.RMDIR, Opcode.RENAME, Opcode.RENAME2],
  ...[Opcode.READDIR, Opcode.READDIRPLUS, Opcode.FSYNCDIR],
  ...[Opcode.SETATTR, Opcode.SETXATTR, Opcode.REMOVEXATTR],
]);
/** Where a request has its node, its body, and offset and size of a READ or WRITE. */
const AT = { opcode: 4, node: 16, newDirectory: 40, offset: 48, size: 56 };
const PAGE = 4096;

/** Bytes of a file, whole pages. */
export interface PageRange {
  readonly from: number;
  readonly to: number;
}

interface DataTask extends PageRange {
  readonly node: bigint;
  readonly ends: (() => void)[];
}

interface DirectoryTask {
  readonly held: readonly { node: bigint; pending: Pending; token: PendingToken }[];
}

export type Task = DataTask | DirectoryTask;

export class UnderWay {
  readonly #directories = new Map<bigint, Pending>();
  readonly #data = new Map<bigint, Set<DataTask>>();

  /** A request that is answered later; its bytes are looked at now. */
  begin(request: Buffer): Task | undefined {
    const opcode = request.readUInt32LE(AT.opcode);
    if (opcode === Opcode.READ || opcode === Opcode.WRITE) return this.#beginData(request);
    if (!LOCKING.has(opcode)) return undefined;
    const node = request.readBigUInt64LE(AT.node);
    const moves = opcode === Opcode.RENAME || opcode === Opcode.RENAME2;
    const other = moves ? request.readBigUInt64LE(AT.newDirectory) : node;
    const nodes = other === node ? [node] : [node, other];
    return { held: nodes.map((one) => this.#hold(one)) };
  }

  end(task: Task): void {
    if ("held" in task) {
      for (const { node, pending, token } of task.held) {
        pending.end(token);
        if (pending.size === 0) this.#directories.delete(node);
      }
      return;
    }
    const tasks = this.#data.get(task.node);
    tasks?.delete(task);
    if (tasks?.size === 0) this.#data.delete(task.node);
    for (const run of task.ends) run();
  }

  /** Calls back when what is done in a directory now is answered; at once when nothing is. */
  whenDirectoryFree(node: bigint, run: () => void): void {
    const pending = this.#directories.get(node);
    if (pending === undefined) run();
    else pending.whenEnded(run);
  }

  /** The pages of a file that are being read or written. Calls back for each range when that was answered. */
  busyPages(node: bigint, free: (range: PageRange) => void): PageRange[] {
    const tasks = [...(this.#data.get(node) ?? [])];
    for (const task of tasks) {
      task.ends.push(() => {
        free(task);
      });
    }
    return tasks.toSorted((a, b) => a.from - b.from);
  }

  #beginData(request: Buffer): DataTask {
    const node = request.readBigUInt64LE(AT.node);
    const offset = Number(request.readBigUInt64LE(AT.offset));
    const end = offset + request.readUInt32LE(AT.size);
    const from = Math.floor(offset / PAGE) * PAGE;
    const task = { node, from, to: Math.ceil(end / PAGE) * PAGE, ends: [] };
    const tasks = this.#data.get(node) ?? new Set();
    this.#data.set(node, tasks.add(task));
    return task;
  }

  #hold(node: bigint): { node: bigint; pending: Pending; token: PendingToken } {
    const pending = this.#directories.get(node) ?? new Pending();
    this.#directories.set(node, pending);
    return { node, pending, token: pending.begin() };
  }
}
