import { symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { refused, type Rule, type Rules } from "./rules.ts";
import { O_CREAT, O_RDONLY, O_WRONLY, R_OK, S_IFIFO, type TimeSpec } from "./support/calls.ts";
import { ALICE, startProcess, type TestProcess } from "./support/process.ts";

/** How every call that takes a path refuses a path it cannot walk. `other`: a file that is there. */
type PathCall = (me: TestProcess, path: string, other: string) => Promise<unknown>;

const NOW: TimeSpec = [1_700_000_000, 1];
const VALUE = Buffer.from("value");

/** Calls on something that must be there. */
const ON_EXISTING: Readonly<Record<string, PathCall>> = {
  open: (me, path) => me.open(path, O_RDONLY),
  "open for writing": (me, path) => me.open(path, O_WRONLY),
  opendir: (me, path) => me.open_directory(path),
  chdir: (me, path) => me.chdir(path),
  truncate: (me, path) => me.truncate(path, 1),
  stat: (me, path) => me.stat(path),
  lstat: (me, path) => me.lstat(path),
  statvfs: (me, path) => me.statvfs(path),
  access: (me, path) => me.access(path, R_OK),
  chmod: (me, path) => me.chmod(path, 0o600),
  chown: (me, path) => me.chown(path, 1001, 1001),
  lchown: (me, path) => me.lchown(path, 1001, 1001),
  utimensat: (me, path) => me.utimensat(path, NOW, NOW),
  readlink: (me, path) => me.readlink(path),
  unlink: (me, path) => me.unlink(path),
  rmdir: (me, path) => me.rmdir(path),
  getxattr: (me, path) => me.getxattr(path, "user.a"),
  setxattr: (me, path) => me.setxattr(path, "user.a", VALUE),
  listxattr: (me, path) => me.listxattr(path),
  removexattr: (me, path) => me.removexattr(path, "user.a"),
  "link, from": (me, path, other) => me.link(path, `${other}.new`),
  "rename, from": (me, path, other) => me.rename(path, `${other}.new`),
  "rename with exchange": (me, path, other) => me.renameat2(path, other, 2),
};

/** Calls that make something. */
const ON_NEW: Readonly<Record<string, PathCall>> = {
  "open with O_CREAT": (me, path) => me.open(path, O_CREAT | O_WRONLY, 0o644),
  mkdir: (me, path) => me.mkdir(path),
  mkfifo: (me, path) => me.mkfifo(path),
  mknod: (me, path) => me.mknod(path, S_IFIFO | 0o600),
  symlink: (me, path) => me.symlink("target", path),
  "link, to": (me, path, other) => me.link(other, path),
  "rename, to": (me, path, other) => me.rename(other, path),
};

function rule(
  code: string,
  call: PathCall,
  path: (folder: string) => string | Promise<string>,
  who = { uid: 0, gid: 0 },
): Rule {
  return async (folder) => {
    await using me = await startProcess(who);
    const other = join(folder, "other");
    await writeFile(other, "");
    await refused(code, call(me, await path(folder), other));
  };
}

async function locked(folder: string): Promise<string> {
  await using root = await startProcess();
  await root.mkdir(join(folder, "locked"), 0o700);
  await root.chmod(join(folder, "other"), 0o666);
  await root.chmod(folder, 0o777);
  await root.chmod(join(folder, "locked"), 0o600);
  return join(folder, "locked/name");
}

async function loop(folder: string): Promise<string> {
  await symlink("loop2", join(folder, "loop1"));
  await symlink("loop1", join(folder, "loop2"));
  return join(folder, "loop1/name");
}

async function file(folder: string): Promise<string> {
  await writeFile(join(folder, "file"), "");
  return join(folder, "file/name");
}

function tooLong(folder: string): string {
  return folder + "/.".repeat((4096 - folder.length - 4) / 2) + "/abcd";
}

function rulesOf(name: string, call: PathCall): [string, Rule][] {
  return [
    [`${name} is ENOTDIR where a part of the path is a file`, rule("ENOTDIR", call, file)],
    [
      `${name} is ENOENT where a directory of the path is missing`,
      rule("ENOENT", call, (folder) => join(folder, "none/name")),
    ],
    [`${name} of an empty path is ENOENT`, rule("ENOENT", call, () => "")],
    [
      `${name} of a name of 256 bytes is ENAMETOOLONG`,
      rule("ENAMETOOLONG", call, (folder) => join(folder, "n".repeat(256))),
    ],
    [
      `${name} through a name of 256 bytes is ENAMETOOLONG`,
      rule("ENAMETOOLONG", call, (folder) => join(folder, "n".repeat(256), "name")),
    ],
    [`${name} of a path of 4096 bytes is ENAMETOOLONG`, rule("ENAMETOOLONG", call, tooLong)],
    [`${name} through a loop of symlinks is ELOOP`, rule("ELOOP", call, loop)],
    [
      `${name} is EACCES where a directory of the path may not be searched`,
      rule("EACCES", call, locked, ALICE),
    ],
  ];
}

export const paths: Rules = Object.fromEntries([
  ...Object.entries({ ...ON_EXISTING, ...ON_NEW }).flatMap(([name, call]) => rulesOf(name, call)),
  ...Object.entries(ON_EXISTING).map(([name, call]): [string, Rule] => [
    `${name} of a missing name is ENOENT`,
    rule("ENOENT", call, (folder) => join(folder, "none")),
  ]),
]);
