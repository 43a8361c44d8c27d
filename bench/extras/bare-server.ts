import { RunQueue } from "../../src/base/run-queue.ts";
import { Opcode } from "../../src/fuse/abi.ts";
import { readRequests, writeReply } from "../../src/fuse/channel.ts";
import {
  encodeAttr,
  encodeEntry,
  encodeError,
  encodeNothing,
  encodeOpen,
} from "../../src/fuse/encode.ts";
import { Polling } from "../../src/fuse/polling.ts";

/**
 * The read loop without a file system above it: requests come through the channel of the product and are answered at once, with
 * the same bytes each time. Every name leads to one empty file. Inherits the descriptor of the device twice, as the serving
 * process of a mount does.
 */

const DEVICE = { requests: 3, replies: 4 };
const ENOSYS = 38;
const HOUR_MS = 3_600_000;
const ROOT = 1;
const TIME = { sec: 0, nsec: 0 };

function attrOf(ino: number, mode: number): Parameters<typeof encodeAttr>[0] {
  return {
    attrTtlMs: HOUR_MS,
    attr: {
      ...{ ino: BigInt(ino), size: 0, nlink: 1, uid: 0, gid: 0, rdev: 0, mode },
      ...{ atime: TIME, mtime: TIME, ctime: TIME },
    },
  };
}

const file = attrOf(2, 0o100644);
const replies = {
  root: encodeAttr(attrOf(ROOT, 0o040755)),
  file: encodeAttr(file),
  entry: encodeEntry({ ...file, nodeid: file.attr.ino, entryTtlMs: HOUR_MS }),
  open: encodeOpen({ fh: 1n, openFlags: 0 }),
  nothing: encodeNothing(),
  unknown: encodeError(ENOSYS),
};

function replyTo(request: Buffer): Buffer | undefined {
  switch (request.readUInt32LE(4)) {
    case Opcode.GETATTR:
      return request.readUInt32LE(16) === ROOT ? replies.root : replies.file;
    case Opcode.LOOKUP:
      return replies.entry;
    case Opcode.OPEN:
      return replies.open;
    case Opcode.SETATTR:
      return replies.file;
    case Opcode.FLUSH:
    case Opcode.RELEASE:
      return replies.nothing;
    case Opcode.FORGET:
    case Opcode.BATCH_FORGET:
    case Opcode.INTERRUPT:
      return undefined;
    default:
      return replies.unknown;
  }
}

const tasks = new RunQueue();
const polling = new Polling(() => tasks.hasRoom);

await readRequests(DEVICE, new AbortController().signal, (request) => {
  const reply = replyTo(request);
  if (reply === undefined) return;
  request.copy(reply, 8, 8, 16);
  writeReply(DEVICE.replies, reply);
  polling.awaitNext();
});
process.exit();
