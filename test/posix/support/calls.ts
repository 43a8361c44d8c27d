import { constants } from "node:fs";

/** The calls that `calls.py` makes, and the kernel's numbers that Node does not name. Times are nanoseconds. */

export type Path = string | Buffer;

export interface FileStatus {
  readonly dev: number;
  readonly ino: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly size: number;
  readonly blocks: number;
  readonly blksize: number;
  readonly atime: bigint;
  readonly mtime: bigint;
  readonly ctime: bigint;
}

export interface FileSystemStatus {
  readonly bsize: number;
  readonly frsize: number;
  readonly blocks: number;
  readonly bfree: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
  readonly namemax: number;
}

/** Seconds and nanoseconds, or UTIME_NOW or UTIME_OMIT as nanoseconds. */
export type TimeSpec = [sec: number, nsec: number];

/** `type` is F_RDLCK 0, F_WRLCK 1, F_UNLCK 2; a length of 0 reaches to the end. */
export interface LockAnswer {
  readonly type: number;
  readonly start: number;
  readonly length: number;
  readonly pid: number;
}

export type DirectoryEntry = [name: Buffer, ino: number, type: number, position: bigint];

export interface RunAnswer {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Calls {
  open(path: Path, flags: number, mode?: number): Promise<number>;
  close(fd: number): Promise<void>;
  dup(fd: number): Promise<number>;
  read(fd: number, count: number): Promise<Buffer>;
  pread(fd: number, count: number, offset: number | bigint): Promise<Buffer>;
  write(fd: number, data: Buffer): Promise<number>;
  pwrite(fd: number, data: Buffer, offset: number | bigint): Promise<number>;
  lseek(fd: number, offset: number | bigint, whence: number): Promise<number>;
  ftruncate(fd: number, length: number | bigint): Promise<void>;
  truncate(path: Path, length: number | bigint): Promise<void>;
  fsync(fd: number): Promise<void>;
  fdatasync(fd: number): Promise<void>;
  fallocate(
    fd: number,
    mode: number,
    offset: number | bigint,
    length: number | bigint,
  ): Promise<void>;
  posix_fallocate(fd: number, offset: number, length: number): Promise<void>;
  copy_file_range(
    from: number,
    to: number,
    count: number,
    ...offsets: (number | null)[]
  ): Promise<number>;
  sendfile(to: number, from: number, offset: number, count: number): Promise<number>;

  mkdir(path: Path, mode?: number): Promise<void>;
  rmdir(path: Path): Promise<void>;
  unlink(path: Path): Promise<void>;
  rename(from: Path, to: Path): Promise<void>;
  renameat2(from: Path, to: Path, flags: number): Promise<void>;
  link(from: Path, to: Path): Promise<void>;
  linkat(fd: number, from: Path, to: Path, flags: number): Promise<void>;
  symlink(target: Path, path: Path): Promise<void>;
  readlink(path: Path): Promise<Path>;
  mknod(path: Path, mode: number, device?: number): Promise<void>;
  mkfifo(path: Path, mode?: number): Promise<void>;
  bind(path: Path): Promise<number>;
  connect(path: Path): Promise<void>;

  stat(path: Path): Promise<FileStatus>;
  lstat(path: Path): Promise<FileStatus>;
  fstat(fd: number): Promise<FileStatus>;
  statvfs(path: Path): Promise<FileSystemStatus>;
  access(path: Path, mode: number): Promise<void>;
  chmod(path: Path, mode: number): Promise<void>;
  fchmod(fd: number, mode: number): Promise<void>;
  chown(path: Path, uid: number, gid: number): Promise<void>;
  lchown(path: Path, uid: number, gid: number): Promise<void>;
  fchown(fd: number, uid: number, gid: number): Promise<void>;
  /** A missing path: the descriptor `dirfd` itself. */
  utimensat(
    path: Path | null,
    atime: TimeSpec,
    mtime: TimeSpec,
    flags?: number,
    dirfd?: number,
  ): Promise<void>;
  chdir(path: Path): Promise<void>;
  fchdir(fd: number): Promise<void>;
  getcwd(): Promise<string>;
  umask(mask: number): Promise<number>;
  listdir(path: Path): Promise<Path[]>;

  getxattr(path: Path, name: Path): Promise<Buffer>;
  setxattr(path: Path | number, name: Path, value: Buffer, flags?: number): Promise<void>;
  listxattr(path: Path | number): Promise<string[]>;
  removexattr(path: Path, name: Path): Promise<void>;

  flock(fd: number, operation: number): Promise<void>;
  lock(
    fd: number,
    command: number,
    type: number,
    ...range: (number | bigint)[]
  ): Promise<LockAnswer>;

  map_file(
    fd: number,
    length: number,
    protection: number,
    flags: number,
    offset?: number,
  ): Promise<number>;
  map_read(map: number, offset: number, length: number): Promise<Buffer>;
  map_write(map: number, offset: number, data: Buffer): Promise<void>;
  map_sync(map: number): Promise<void>;
  map_close(map: number): Promise<void>;

  get_flags(fd: number): Promise<number>;
  set_flags(fd: number, flags: number): Promise<void>;
  get_xflags(fd: number): Promise<number>;
  ioctl(fd: number, request: number, size: number): Promise<Buffer>;

  open_directory(path: Path): Promise<number>;
  read_directory(directory: number, count: number): Promise<DirectoryEntry[]>;
  seek_directory(directory: number, position: bigint): Promise<void>;
  rewind_directory(directory: number): Promise<void>;
  close_directory(directory: number): Promise<void>;

  run(argv: readonly string[]): Promise<RunAnswer>;
  spawn(argv: readonly string[]): Promise<number>;
  finish(pid: number): Promise<void>;
  limit_file_size(length: number): Promise<void>;
  fork_holding(call: string, ...args: readonly unknown[]): Promise<unknown>;
  fill(fd: number, count: number, size: number): Promise<void>;
  make_files(folder: Path, prefix: string, count: number): Promise<void>;
  sleep(seconds: number): Promise<void>;
}

export const {
  O_APPEND,
  O_CREAT,
  O_DIRECT,
  O_DIRECTORY,
  O_DSYNC,
  O_EXCL,
  O_NOATIME,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  O_SYNC,
  O_TRUNC,
  O_WRONLY,
} = constants;
export const O_PATH = 0o10000000;
export const O_TMPFILE = 0o20000000 | O_DIRECTORY;

export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;

export const [R_OK, W_OK, X_OK] = [4, 2, 1];
export const [SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE] = [0, 1, 2, 3, 4];
export const [RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT] = [1, 2, 4];
export const [AT_SYMLINK_NOFOLLOW, AT_SYMLINK_FOLLOW, AT_EMPTY_PATH] = [0x100, 0x400, 0x1000];
export const AT_FDCWD = -100;
export const [UTIME_NOW, UTIME_OMIT] = [0x3fff_ffff, 0x3fff_fffe];
export const [KEEP_SIZE, PUNCH_HOLE, COLLAPSE_RANGE, ZERO_RANGE] = [1, 2, 8, 0x10];
export const [XATTR_CREATE, XATTR_REPLACE] = [1, 2];
export const [LOCK_SH, LOCK_EX, LOCK_NB, LOCK_UN] = [1, 2, 4, 8];
export const [F_GETLK, F_SETLK, F_SETLKW] = [5, 6, 7];
export const [F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW] = [36, 37, 38];
export const [F_RDLCK, F_WRLCK, F_UNLCK] = [0, 1, 2];
export const [PROT_READ, PROT_WRITE] = [1, 2];
export const [MAP_SHARED, MAP_PRIVATE] = [1, 2];
export const [FS_IMMUTABLE_FL, FS_APPEND_FL] = [0x10, 0x20];
export const [DT_FIFO, DT_CHR, DT_DIR, DT_BLK, DT_REG, DT_LNK, DT_SOCK] = [1, 2, 4, 6, 8, 10, 12];
