import { constants } from "node:os";
import { FsError, errnoOf } from "../base/fs-error.ts";
import { log } from "../base/log.ts";
import type { Maybe } from "../base/maybe.ts";
import { IN_HEADER_BYTES, Opcode } from "./abi.ts";
import * as decode from "./decode.ts";
import { DirentReply } from "./dirent.ts";
import * as encode from "./encode.ts";
import type { LockIn, Operations, RequestHeader, Signatures } from "./operations.ts";

/** What goes back to the kernel: one buffer, or a header and views. Undefined: nothing is answered. */
export type Reply = Buffer | readonly Uint8Array[] | undefined;

type Handler = (fs: Operations, header: RequestHeader, body: Buffer) => Maybe<Reply>;

/** A request of an opcode: how it is read, done and answered. */
const handlers: Readonly<Record<number, Handler>> = {
  [Opcode.LOOKUP]: handler("lookup", decode.decodeName, encode.encodeEntry),
  [Opcode.GETATTR]: handler("getattr", decode.decodeGetattr, encode.encodeAttr),
  [Opcode.SETATTR]: handler("setattr", decode.decodeSetattr, encode.encodeAttr),
  [Opcode.READLINK]: handler("readlink", decode.decodeNothing, encode.encodeBytes),
  [Opcode.SYMLINK]: handler("symlink", decode.decodeSymlink, encode.encodeEntry),
  [Opcode.MKNOD]: handler("mknod", decode.decodeMknod, encode.encodeEntry),
  [Opcode.MKDIR]: handler("mkdir", decode.decodeMkdir, encode.encodeEntry),
  [Opcode.UNLINK]: handler("unlink", decode.decodeName, encode.encodeNothing),
  [Opcode.RMDIR]: handler("rmdir", decode.decodeName, encode.encodeNothing),
  [Opcode.RENAME]: handler("rename", decode.decodeRename, encode.encodeNothing),
  [Opcode.RENAME2]: handler("rename", decode.decodeRename2, encode.encodeNothing),
  [Opcode.LINK]: handler("link", decode.decodeLink, encode.encodeEntry),
  [Opcode.OPEN]: handler("open", decode.decodeOpen, encode.encodeOpen),
  [Opcode.READ]: handler("read", decode.decodeRead, encode.encodeViews),
  [Opcode.WRITE]: handler("write", decode.decodeWrite, encode.encodeWritten),
  [Opcode.STATFS]: handler("statfs", decode.decodeNothing, encode.encodeStatfs),
  [Opcode.RELEASE]: handler("release", decode.decodeRelease, encode.encodeNothing),
  [Opcode.FSYNC]: handler("fsync", decode.decodeFsync, encode.encodeNothing),
  [Opcode.SETXATTR]: handler("setxattr", decode.decodeSetxattr, encode.encodeNothing),
  [Opcode.GETXATTR]: sized("getxattr", decode.decodeGetxattr),
  [Opcode.LISTXATTR]: sized("listxattr", decode.decodeNothing),
  [Opcode.REMOVEXATTR]: handler("removexattr", decode.decodeName, encode.encodeNothing),
  [Opcode.FLUSH]: handler("flush", decode.decodeFlush, encode.encodeNothing),
  [Opcode.OPENDIR]: handler("opendir", decode.decodeOpen, encode.encodeOpen),
  [Opcode.READDIR]: directory(false),
  [Opcode.READDIRPLUS]: directory(true),
  [Opcode.RELEASEDIR]: handler("releasedir", decode.decodeRelease, encode.encodeNothing),
  [Opcode.FSYNCDIR]: handler("fsyncdir", decode.decodeFsync, encode.encodeNothing),
  [Opcode.GETLK]: handler("getlk", decode.decodeLock, encode.encodeLock),
  [Opcode.SETLK]: handler("setlk", decode.decodeLock, encode.encodeNothing),
  [Opcode.ACCESS]: handler("access", decode.decodeAccess, encode.encodeNothing),
  [Opcode.CREATE]: handler("create", decode.decodeCreate, encode.encodeCreate),
  [Opcode.TMPFILE]: handler("tmpfile", decode.decodeCreate, encode.encodeCreate),
  [Opcode.IOCTL]: handler("ioctl", decode.decodeIoctl, encode.encodeIoctl),
  [Opcode.FALLOCATE]: handler("fallocate", decode.decodeFallocate, encode.encodeNothing),
  [Opcode.LSEEK]: handler("lseek", decode.decodeLseek, encode.encodeOffset),
  [Opcode.COPY_FILE_RANGE]: handler("copyFileRange", decode.decodeCopy, encode.encodeWritten),
};

/** Answers requests of one mount. */
export class Dispatcher {
  readonly #fs: Operations;
  /** Lock waits that an INTERRUPT may end, by the number of their request. */
  readonly #waits = new Map<bigint, AbortController>();

  constructor(fs: Operations) {
    this.#fs = fs;
  }

  /** Answers one request. Never throws: a failed operation is an answer too. */
  dispatch(request: Buffer): Maybe<Reply> {
    const header = decode.decodeHeader(request);
    const body = request.subarray(IN_HEADER_BYTES);
    try {
      const answer = this.#answer(header, body);
      return answer instanceof Promise
        ? answer.catch((error: unknown) => failed(error, header))
        : answer;
    } catch (error) {
      return failed(error, header);
    }
  }

  #answer(header: RequestHeader, body: Buffer): Maybe<Reply> {
    switch (header.opcode) {
      case Opcode.FORGET:
      case Opcode.BATCH_FORGET:
        return undefined;
      case Opcode.INTERRUPT:
        this.#waits.get(body.readBigUInt64LE(0) & ((1n << 63n) - 1n))?.abort();
        return undefined;
      case Opcode.DESTROY:
        return encode.encodeNothing();
      case Opcode.SETLKW:
        return this.#waitForLock(header, decode.decodeLock(body));
      default:
        return (handlers[header.opcode] ?? unknown)(this.#fs, header, body);
    }
  }

  async #waitForLock(header: RequestHeader, lock: LockIn): Promise<Reply> {
    const abort = new AbortController();
    this.#waits.set(header.unique, abort);
    try {
      await this.#fs.setlk(header, { ...lock, wait: abort.signal });
      return encode.encodeNothing();
    } finally {
      this.#waits.delete(header.unique);
    }
  }
}

function unknown(): Reply {
  return encode.encodeError(constants.errno.ENOSYS);
}

function failed(error: unknown, header: RequestHeader): Reply {
  const refused = error instanceof FsError && error.code !== "EIO";
  if (!refused)
    log.error({ error, opcode: header.opcode, ino: header.nodeid.toString() }, "request failed");
  return encode.encodeError(errnoOf(error));
}

function handler<Name extends keyof Signatures>(
  name: Name,
  read: (body: Buffer) => Signatures[Name][0],
  write: (output: Signatures[Name][1]) => Reply,
): Handler {
  return (fs, header, body) => {
    const output = fs[name](header, read(body));
    return output instanceof Promise ? output.then(write) : write(output);
  };
}

/** GETXATTR and LISTXATTR: the caller says how much it can take. */
function sized<Name extends "getxattr" | "listxattr">(
  name: Name,
  read: (body: Buffer) => Signatures[Name][0],
): Handler {
  return (fs, header, body) => {
    const capacity = body.readUInt32LE(0);
    const output = fs[name](header, read(body));
    if (output instanceof Promise)
      return output.then((value) => encode.encodeXattr(value, capacity));
    return encode.encodeXattr(output, capacity);
  };
}

function directory(plus: boolean): Handler {
  return (fs, header, body) => {
    const { fh, size } = decode.decodeRead(body);
    const reply = new DirentReply(size, plus);
    const done = fs.readdir(header, { fh, offset: body.readBigUInt64LE(8), reply });
    return done instanceof Promise ? done.then(() => reply.finish()) : reply.finish();
  };
}
