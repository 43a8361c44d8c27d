import { writeSync } from "node:fs";
import type { Maybe } from "../base/maybe.ts";
import { Pending } from "../base/pending.ts";
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
  readonly #entries: MessageThread;
  readonly #pages: MessageThread;

  constructor(fd: number, options: { expireOnly: boolean; underWay: UnderWay }) {
    this.#fd = fd;
    this.#expireOnly = options.expireOnly;
    this.#underWay = options.underWay;
    const thread = (): MessageThread =>
      new MessageThread(fd, (tokens) => {
        for (const token of tokens) this.#pending.end(token);
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
      this.#pages.post([invalInode(nodeid, BigInt(from), BigInt(length))], this.#pending.begin());
    };
    const whole = this.#pending.begin();
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
    this.#pending.end(whole);
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

  async close(): Promise<void> {
    await Promise.all([this.#entries.close(), this.#pages.close()]);
  }

  #inDirectory(directory: bigint, messages: readonly Buffer[]): void {
    const token = this.#pending.begin();
    this.#underWay.whenDirectoryFree(directory, () => {
      this.#entries.post(messages, token);
    });
  }
}

/** No directory has it: such a message waits for the lock and does nothing. */
const NO_NAME = Buffer.from("/");

/** Asks the kernel to send again what was not answered. */
export function askAgain(fd: number): void {
  writeMessage(fd, header(FUSE_NOTIFY_RESEND, 0));
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
