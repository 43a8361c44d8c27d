import { readSync, writeSync } from "node:fs";
import {
  FUSE_KERNEL_MINOR_VERSION,
  FUSE_KERNEL_VERSION,
  IN_HEADER_BYTES,
  InitFlag,
  MAX_WRITE,
  Opcode,
  OUT_HEADER_BYTES,
  REQUEST_BYTES,
} from "./abi.ts";
import { reply } from "./encode.ts";

/** The handshake: what the kernel offers, what is taken. The kernel asks once a mount. */

export interface InitOptions {
  readonly writebackCache: boolean;
  /** The kernel checks ACLs; it does not without checking permissions. */
  readonly posixAcl: boolean;
  /** Modes come as they were asked for, the umask beside them. */
  readonly ownUmask?: boolean;
}

/** What was agreed on; a process that takes the mount over needs it. */
export interface Negotiated {
  readonly minor: number;
  /** InitFlag bits, as a decimal string: it travels as JSON. */
  readonly flags: string;
}

const ALWAYS = [
  "ASYNC_READ",
  "POSIX_LOCKS",
  "ATOMIC_O_TRUNC",
  // File handles, such as those of NFS, lead to files that the kernel has forgotten: it looks up "." and "..".
  "EXPORT_SUPPORT",
  "BIG_WRITES",
  "FLOCK_LOCKS",
  "DO_READDIRPLUS",
  "READDIRPLUS_AUTO",
  "ASYNC_DIO",
  "PARALLEL_DIROPS",
  "MAX_PAGES",
  "CACHE_SYMLINKS",
  "EXPLICIT_INVAL_DATA",
  "HANDLE_KILLPRIV_V2",
  "INIT_EXT",
  "HAS_EXPIRE_ONLY",
  // Files opened with O_APPEND pass the page cache by, and can be mapped all the same (Linux 6.6).
  "DIRECT_IO_ALLOW_MMAP",
  "HAS_RESEND",
] as const;

const MAX_BACKGROUND = 64;
const CONGESTION_THRESHOLD = 48;
const READAHEAD_BYTES = 1 << 20;
const INIT_OUT_BYTES = 64;

/** Reads the first request of a new mount and answers it. Blocks: the kernel sends it when the mount is made. */
export function handshake(fd: number, options: InitOptions): Negotiated {
  const request = Buffer.alloc(REQUEST_BYTES);
  readSync(fd, request);
  const opcode = request.readUInt32LE(4);
  if (opcode !== Opcode.INIT)
    throw new Error(`Expected INIT from the kernel, got opcode ${opcode}`);
  const body = request.subarray(IN_HEADER_BYTES);
  const offered = BigInt(body.readUInt32LE(12)) | (BigInt(body.readUInt32LE(16)) << 32n);
  const minor = Math.min(body.readUInt32LE(4), FUSE_KERNEL_MINOR_VERSION);
  const flags = wanted(options) & offered & ~refused();
  const answer = reply(INIT_OUT_BYTES).fill(0, OUT_HEADER_BYTES);
  request.copy(answer, 8, 8, 16);
  const at = OUT_HEADER_BYTES;
  answer.writeUInt32LE(FUSE_KERNEL_VERSION, at);
  answer.writeUInt32LE(FUSE_KERNEL_MINOR_VERSION, at + 4);
  answer.writeUInt32LE(READAHEAD_BYTES, at + 8);
  answer.writeUInt32LE(Number(flags & 0xffff_ffffn), at + 12);
  answer.writeUInt16LE(MAX_BACKGROUND, at + 16);
  answer.writeUInt16LE(CONGESTION_THRESHOLD, at + 18);
  answer.writeUInt32LE(MAX_WRITE, at + 20);
  answer.writeUInt32LE(1, at + 24);
  answer.writeUInt16LE(MAX_WRITE / 4096, at + 28);
  answer.writeUInt32LE(Number(flags >> 32n), at + 32);
  writeSync(fd, answer);
  return { minor, flags: flags.toString() };
}

/** For trying what older kernels lack: names of flags that are not taken, comma-separated. */
function refused(): bigint {
  const names = (process.env["JUICEFS_FUSE_REFUSE"] ?? "").split(",");
  return Object.entries(InitFlag)
    .filter(([name]) => names.includes(name))
    .reduce((flags, [, flag]) => flags | flag, 0n);
}

function wanted(options: InitOptions): bigint {
  let flags = 0n;
  for (const name of ALWAYS) flags |= InitFlag[name];
  if (options.writebackCache) flags |= InitFlag.WRITEBACK_CACHE;
  if (options.posixAcl) flags |= InitFlag.POSIX_ACL;
  if (options.ownUmask === true) flags |= InitFlag.DONT_MASK;
  return flags;
}

export function has(negotiated: Negotiated, flag: keyof typeof InitFlag): boolean {
  return (BigInt(negotiated.flags) & InitFlag[flag]) !== 0n;
}
