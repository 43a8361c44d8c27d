import { writeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import {
  FUSE_EXPIRE_ONLY,
  FUSE_NOTIFY_INVAL_ENTRY,
  FUSE_NOTIFY_INVAL_INODE,
  FUSE_NOTIFY_RESEND,
  OUT_HEADER_BYTES,
} from "./abi.ts";

/**
 * Tells the kernel that what it keeps is stale. Dropping attributes takes no lock and is written at once; dropping
 * pages or an entry waits for what is under way there, whose answer may have to come from this very event loop: those
 * messages are written by a thread of their own.
 */
export class KernelNotifier {
  readonly #fd: number;
  readonly #expireOnly: boolean;
  #thread: Worker | undefined;

  constructor(fd: number, { expireOnly }: { expireOnly: boolean }) {
    this.#fd = fd;
    this.#expireOnly = expireOnly;
  }

  /** @returns false when the kernel does not hold the inode, or does not hold it yet */
  dropAttributes(nodeid: bigint): boolean {
    return writeMessage(this.#fd, invalInode(nodeid, -1n, 0n));
  }

  dropPages(nodeid: bigint): void {
    this.#later(invalInode(nodeid, 0n, 0n));
  }

  /** The next walk asks again; what is mounted below stays. Kernels before 6.2 know only the way that takes it away: there the lifetime ends it. */
  expireEntry(parent: bigint, name: Buffer): void {
    if (!this.#expireOnly) return;
    const message = header(FUSE_NOTIFY_INVAL_ENTRY, 16 + name.length + 1);
    message.writeBigUInt64LE(parent, OUT_HEADER_BYTES);
    message.writeUInt32LE(name.length, OUT_HEADER_BYTES + 8);
    message.writeUInt32LE(FUSE_EXPIRE_ONLY, OUT_HEADER_BYTES + 12);
    name.copy(message, OUT_HEADER_BYTES + 16);
    this.#later(message);
  }

  /** Asks the kernel to send again what was not answered. */
  resend(): void {
    writeMessage(this.#fd, header(FUSE_NOTIFY_RESEND, 0));
  }

  async close(): Promise<void> {
    await this.#thread?.terminate();
  }

  #later(message: Buffer): void {
    this.#thread ??= startThread(this.#fd);
    this.#thread.postMessage(message);
  }
}

function startThread(fd: number): Worker {
  const thread = new Worker(new URL("notify-thread.ts", import.meta.url), { workerData: { fd } });
  thread.unref();
  return thread;
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

/** A message is a reply to nobody: number 0, its code where an errno would be. */
function header(code: number, size: number): Buffer {
  const message = Buffer.alloc(OUT_HEADER_BYTES + size);
  message.writeUInt32LE(message.length, 0);
  message.writeInt32LE(code, 4);
  return message;
}
