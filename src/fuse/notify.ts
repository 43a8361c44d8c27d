import { writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Maybe } from "../base/maybe.ts";
import { Pending, type PendingToken } from "../base/pending.ts";
import {
  FUSE_EXPIRE_ONLY,
  FUSE_NOTIFY_INVAL_ENTRY,
  FUSE_NOTIFY_INVAL_INODE,
  FUSE_NOTIFY_RESEND,
  OUT_HEADER_BYTES,
} from "./abi.ts";
import { MessageThread } from "./message-thread.ts";
import type { UnderWay } from "./under-way.ts";

/**
 * Tells the kernel that what it keeps is stale. Dropping attributes takes no lock and is written at once. Dropping an
 * entry waits for the lock of its directory, dropping pages for those being read: these are written by a thread each, and
 * held back while the answer that they would wait for is due from here.
 */
export class KernelNotifier {
  readonly #fd: number;
  readonly #expireOnly: boolean;
  readonly #underWay: UnderWay;
  readonly #pending = new Pending();
  /** The nodes whose locks messages may wait for: of what is pending, oldest first. */
  readonly #nodes = new Map<PendingToken, bigint>();
  /** Until when answers wait for what is pending, by a clock that never jumps. */
  #until = 0;
  readonly #entries: MessageThread;
  readonly #pages: MessageThread;

  /** `beginMs`: when its threads begin, where there is nothing for them to do before. */
  constructor(fd: number, options: { expireOnly: boolean; underWay: UnderWay; beginMs: number }) {
    this.#fd = fd;
    this.#expireOnly = options.expireOnly;
    this.#underWay = options.underWay;
    const thread = (): MessageThread =>
      new MessageThread(fd, options.beginMs, (tokens) => {
        for (const token of tokens) this.#end(token);
      });
    this.#entries = thread();
    this.#pages = thread();
  }

  /** @returns false when the kernel does not hold the inode, or does not hold it yet */
  dropAttributes(nodeid: bigint): boolean {
    return writeMessage(this.#fd, invalInode(nodeid, -1n, 0n));
  }

  /**
   * The same for an inode that was handed out with a name of a directory and that the kernel did not hold: a task may have
   * been told of it that did not run yet. It has the directory locked, and so this waits for it.
   */
  dropAttributesLater(nodeid: bigint, directory: bigint): void {
    this.#inDirectory(directory, [
      invalEntry(directory, NO_NAME, this.#expireOnly),
      invalInode(nodeid, -1n, 0n),
    ]);
  }

  /** Drops the pages of a file or of a directory's listing; those being read when they were read. */
  dropPages(nodeid: bigint): void {
    const drop = (from: number, length: number): void => {
      const token = this.#begin(nodeid, this.#pages, PAGES_MS);
      this.#pages.post([invalInode(nodeid, BigInt(from), BigInt(length))], token);
    };
    const whole = this.#begin(nodeid, this.#pages, PAGES_MS);
    const busy = this.#underWay.busyPages(nodeid, ({ from, to }) => {
      drop(from, to - from);
    });
    let at = 0;
    for (const { from, to } of busy) {
      if (from > at) drop(at, from - at);
      at = Math.max(at, to);
    }
    // Without a length: to the end.
    drop(at, 0);
    this.#end(whole);
  }

  /**
   * The next walk asks again; what is mounted below stays. Kernels before 6.2 know only the way that takes that away too:
   * there only names are dropped that are `gone` for certain, others end with their lifetime.
   */
  dropEntry(parent: bigint, name: Buffer, gone: boolean): void {
    if (!this.#expireOnly && !gone) return;
    this.#inDirectory(parent, [invalEntry(parent, name, this.#expireOnly)]);
  }

  /** Settles when every message so far was written; at once when they were. */
  settled(): Maybe<void> {
    if (this.#pending.size === 0) return undefined;
    return new Promise((resolve) => {
      this.#pending.whenEnded(resolve);
    });
  }

  /**
   * Whether the kernel is still to be told of something that an answer about a node may already tell: who saw that is not to be
   * shown what was before, so the answer waits (`told`). Not for a message that may wait for a lock of the node itself, which is
   * held until there is an answer, nor for what comes behind that one.
   */
  isBehind(nodeid: bigint): boolean {
    const [oldest] = this.#nodes.values();
    return oldest !== undefined && oldest !== nodeid && performance.now() < this.#until;
  }

  /** Settles when what is waited for was written, or soon: a message may wait for a lock that is held for an answer elsewhere. */
  async told(nodeid: bigint): Promise<void> {
    const leftMs = Math.max(this.#until - performance.now(), 0);
    const written = new Promise<void>((resolve) => {
      const own = this.#nodes.entries().find(([, node]) => node === nodeid);
      if (own === undefined) this.#pending.whenEnded(resolve);
      else this.#pending.whenEndedBefore(own[0], resolve);
    });
    await Promise.race([written, sleep(leftMs, undefined, { ref: false })]);
  }

  async close(): Promise<void> {
    await Promise.all([this.#entries.close(), this.#pages.close()]);
  }

  #begin(nodeid: bigint, thread: MessageThread, limitMs: number): PendingToken {
    const token = this.#pending.begin();
    this.#nodes.set(token, nodeid);
    const end = performance.now() + (thread.isRunning ? limitMs : BEGINNING_MS);
    this.#until = Math.max(this.#until, end);
    return token;
  }

  #end(token: PendingToken): void {
    this.#nodes.delete(token);
    this.#pending.end(token);
  }

  #inDirectory(directory: bigint, messages: readonly Buffer[]): void {
    const token = this.#begin(directory, this.#entries, ENTRIES_MS);
    this.#underWay.whenDirectoryFree(directory, () => {
      this.#entries.post(messages, token);
    });
  }
}

/**
 * How long answers wait for a message: a directory is locked while a server is asked, pages while a store is, which may take long
 * and is nobody else's business. A thread has to begin first.
 */
const ENTRIES_MS = 100;
const PAGES_MS = 5;
const BEGINNING_MS = 300;

const ROOT_NODE = 1n;
/** No directory has it: such a message waits for the lock and does nothing. */
const NO_NAME = Buffer.from("/");

/** Asks the kernel to send again what was not answered. */
export function askAgain(fd: number): void {
  writeMessage(fd, header(FUSE_NOTIFY_RESEND, 0));
}

/** Whether anybody has the file system still, in whichever namespace and as whatever: then the kernel knows its root. */
export function isHeld(fd: number): boolean {
  return writeMessage(fd, invalInode(ROOT_NODE, -1n, 0n));
}

/** @returns false when the kernel knows nothing of it */
export function writeMessage(fd: number, message: Uint8Array): boolean {
  try {
    writeSync(fd, message);
    return true;
  } catch {
    return false;
  }
}

function invalInode(nodeid: bigint, offset: bigint, length: bigint): Buffer {
  const message = header(FUSE_NOTIFY_INVAL_INODE, 24);
  message.writeBigUInt64LE(nodeid, OUT_HEADER_BYTES);
  message.writeBigInt64LE(offset, OUT_HEADER_BYTES + 8);
  message.writeBigInt64LE(length, OUT_HEADER_BYTES + 16);
  return message;
}

function invalEntry(parent: bigint, name: Buffer, expireOnly: boolean): Buffer {
  const message = header(FUSE_NOTIFY_INVAL_ENTRY, 16 + name.length + 1);
  message.writeBigUInt64LE(parent, OUT_HEADER_BYTES);
  message.writeUInt32LE(name.length, OUT_HEADER_BYTES + 8);
  message.writeUInt32LE(expireOnly ? FUSE_EXPIRE_ONLY : 0, OUT_HEADER_BYTES + 12);
  name.copy(message, OUT_HEADER_BYTES + 16);
  return message;
}

/** A message is a reply to nobody: number 0, its code where an errno would be. */
function header(code: number, size: number): Buffer {
  const message = Buffer.alloc(OUT_HEADER_BYTES + size);
  message.writeUInt32LE(message.length, 0);
  message.writeInt32LE(code, 4);
  return message;
}
