import type {
  CopyIn,
  CreateIn,
  FallocateIn,
  IoctlIn,
  LockIn,
  LseekIn,
  MakeIn,
  OpenIn,
  ReadIn,
  ReleaseIn,
  RenameIn,
  RequestHeader,
  SetattrIn,
  SetxattrIn,
  WriteIn,
} from "./operations.ts";
import { FUSE_FSYNC_FDATASYNC, FUSE_LK_FLOCK, UNIQUE_RESEND, WRITE_IN_BYTES } from "./abi.ts";

/**
 * Request bytes to typed requests; a function a struct. `body` starts behind the header. Names and values are copied, for the
 * buffer is read into again; only the bytes of a WRITE are a view.
 */

export function decodeHeader(request: Buffer): RequestHeader {
  return {
    opcode: request.readUInt32LE(4),
    unique: request.readBigUInt64LE(8) & ~UNIQUE_RESEND,
    nodeid: request.readBigUInt64LE(16),
    uid: request.readUInt32LE(24),
    gid: request.readUInt32LE(28),
    pid: request.readUInt32LE(32),
  };
}

export function decodeNothing(): void {
  return undefined;
}

export function decodeName(body: Buffer): Buffer {
  return nameAt(body, 0);
}

export function decodeGetattr(body: Buffer): { fh?: bigint } {
  return (body.readUInt32LE(0) & 1) === 0 ? {} : { fh: body.readBigUInt64LE(8) };
}

export function decodeSetattr(body: Buffer): SetattrIn {
  return {
    valid: body.readUInt32LE(0),
    fh: body.readBigUInt64LE(8),
    size: u64(body, 16),
    atime: { sec: i64(body, 32), nsec: body.readUInt32LE(56) },
    mtime: { sec: i64(body, 40), nsec: body.readUInt32LE(60) },
    mode: body.readUInt32LE(68),
    uid: body.readUInt32LE(76),
    gid: body.readUInt32LE(80),
  };
}

export function decodeSymlink(body: Buffer): { name: Buffer; target: Buffer } {
  const name = nameAt(body, 0);
  return { name, target: nameAt(body, name.length + 1) };
}

export function decodeMknod(body: Buffer): MakeIn {
  return {
    mode: body.readUInt32LE(0),
    rdev: body.readUInt32LE(4),
    umask: body.readUInt32LE(8),
    name: nameAt(body, 16),
  };
}

export function decodeMkdir(body: Buffer): MakeIn {
  return {
    mode: body.readUInt32LE(0),
    umask: body.readUInt32LE(4),
    rdev: 0,
    name: nameAt(body, 8),
  };
}

export function decodeRename(body: Buffer): RenameIn {
  return renameAt(body, 8, 0);
}

export function decodeRename2(body: Buffer): RenameIn {
  return renameAt(body, 16, body.readUInt32LE(8));
}

export function decodeLink(body: Buffer): { name: Buffer; nodeid: bigint } {
  return { nodeid: body.readBigUInt64LE(0), name: nameAt(body, 8) };
}

export function decodeOpen(body: Buffer): OpenIn {
  return { flags: body.readUInt32LE(0), openFlags: body.readUInt32LE(4) };
}

export function decodeCreate(body: Buffer): CreateIn {
  return {
    flags: body.readUInt32LE(0),
    mode: body.readUInt32LE(4),
    umask: body.readUInt32LE(8),
    openFlags: body.readUInt32LE(12),
    name: nameAt(body, 16),
  };
}

export function decodeIoctl(body: Buffer): IoctlIn {
  const size = body.readUInt32LE(24);
  return { command: body.readUInt32LE(12), data: Buffer.from(body.subarray(32, 32 + size)) };
}

/** READ, READDIR and READDIRPLUS. */
export function decodeRead(body: Buffer): ReadIn {
  return { fh: body.readBigUInt64LE(0), offset: u64(body, 8), size: body.readUInt32LE(16) };
}

export function decodeWrite(body: Buffer): WriteIn {
  const size = body.readUInt32LE(16);
  return {
    fh: body.readBigUInt64LE(0),
    offset: u64(body, 8),
    writeFlags: body.readUInt32LE(20),
    flags: body.readUInt32LE(32),
    data: body.subarray(WRITE_IN_BYTES, WRITE_IN_BYTES + size),
  };
}

export function decodeRelease(body: Buffer): ReleaseIn {
  return {
    fh: body.readBigUInt64LE(0),
    releaseFlags: body.readUInt32LE(12),
    lockOwner: body.readBigUInt64LE(16),
  };
}

export function decodeFlush(body: Buffer): { fh: bigint; lockOwner: bigint } {
  return { fh: body.readBigUInt64LE(0), lockOwner: body.readBigUInt64LE(16) };
}

export function decodeFsync(body: Buffer): { fh: bigint; dataOnly: boolean } {
  return {
    fh: body.readBigUInt64LE(0),
    dataOnly: (body.readUInt32LE(8) & FUSE_FSYNC_FDATASYNC) !== 0,
  };
}

/** Without SETXATTR_EXT: size, flags, name, value. */
export function decodeSetxattr(body: Buffer): SetxattrIn {
  const size = body.readUInt32LE(0);
  const name = nameAt(body, 8);
  const at = 8 + name.length + 1;
  return { name, flags: body.readUInt32LE(4), value: Buffer.from(body.subarray(at, at + size)) };
}

export function decodeGetxattr(body: Buffer): Buffer {
  return nameAt(body, 8);
}

export function decodeLock(body: Buffer): LockIn {
  return {
    fh: body.readBigUInt64LE(0),
    owner: body.readBigUInt64LE(8),
    start: body.readBigUInt64LE(16),
    end: body.readBigUInt64LE(24),
    type: body.readUInt32LE(32),
    pid: body.readUInt32LE(36),
    flock: (body.readUInt32LE(40) & FUSE_LK_FLOCK) !== 0,
  };
}

export function decodeAccess(body: Buffer): { mask: number } {
  return { mask: body.readUInt32LE(0) };
}

export function decodeFallocate(body: Buffer): FallocateIn {
  return {
    fh: body.readBigUInt64LE(0),
    offset: u64(body, 8),
    length: u64(body, 16),
    mode: body.readUInt32LE(24),
  };
}

export function decodeCopy(body: Buffer): CopyIn {
  return {
    fhIn: body.readBigUInt64LE(0),
    offsetIn: u64(body, 8),
    nodeidOut: body.readBigUInt64LE(16),
    fhOut: body.readBigUInt64LE(24),
    offsetOut: u64(body, 32),
    length: u64(body, 40),
  };
}

export function decodeLseek(body: Buffer): LseekIn {
  return { fh: body.readBigUInt64LE(0), offset: u64(body, 8), whence: body.readUInt32LE(16) };
}

function renameAt(body: Buffer, at: number, flags: number): RenameIn {
  const name = nameAt(body, at);
  return {
    newDir: body.readBigUInt64LE(0),
    flags,
    name,
    newName: nameAt(body, at + name.length + 1),
  };
}

function nameAt(body: Buffer, at: number): Buffer {
  return Buffer.from(body.subarray(at, body.indexOf(0, at)));
}

/** Offsets and lengths; beyond 2^53 they lose their last digits and are refused by the operation. */
function u64(body: Buffer, at: number): number {
  return body.readUInt32LE(at + 4) * 2 ** 32 + body.readUInt32LE(at);
}

function i64(body: Buffer, at: number): number {
  return body.readInt32LE(at + 4) * 2 ** 32 + body.readUInt32LE(at);
}
