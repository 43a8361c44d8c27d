import assert from "node:assert/strict";
import { chmod, chown, copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { refused, type Rule, type Rules } from "./rules.ts";
import { O_RDONLY, S_IFIFO, XATTR_CREATE, XATTR_REPLACE } from "./support/calls.ts";
import { ALICE, BOB, startProcess } from "./support/process.ts";

/** Extended attributes. */

const VALUE = Buffer.from("value");

async function makeFile(folder: string): Promise<string> {
  const path = join(folder, "file");
  await writeFile(path, "content");
  return path;
}

const VALUES: readonly [string, Buffer][] = [
  ["an empty value", Buffer.alloc(0)],
  ["a value with zero bytes", Buffer.from([0, 1, 0, 255])],
  ["a value of 3000 bytes", Buffer.alloc(3000, 7)],
];

export const xattrs: Rules = {
  ...Object.fromEntries(
    VALUES.map(([what, value]): [string, Rule] => [
      `${what} comes back as it went`,
      async (folder) => {
        await using me = await startProcess();
        const path = await makeFile(folder);
        await me.setxattr(path, "user.name", value);
        assert.deepEqual(await me.getxattr(path, "user.name"), value);
      },
    ]),
  ),

  async "attributes are set, listed, changed and removed"(folder) {
    await using me = await startProcess();
    const path = await makeFile(folder);
    assert.deepEqual(await me.listxattr(path), []);
    await me.setxattr(path, "user.one", VALUE);
    await me.setxattr(path, "user.two", Buffer.from("2"));
    assert.deepEqual((await me.listxattr(path)).toSorted(), ["user.one", "user.two"]);
    await me.setxattr(path, "user.one", Buffer.from("other"));
    assert.equal((await me.getxattr(path, "user.one")).toString(), "other");
    await me.removexattr(path, "user.one");
    await refused("ENODATA", me.getxattr(path, "user.one"));
    assert.deepEqual(await me.listxattr(path), ["user.two"]);
  },

  async "CREATE refuses what is there, REPLACE what is not"(folder) {
    await using me = await startProcess();
    const path = await makeFile(folder);
    await refused("ENODATA", me.setxattr(path, "user.name", VALUE, XATTR_REPLACE));
    await me.setxattr(path, "user.name", VALUE, XATTR_CREATE);
    await refused("EEXIST", me.setxattr(path, "user.name", VALUE, XATTR_CREATE));
    await me.setxattr(path, "user.name", Buffer.from("new"), XATTR_REPLACE);
    assert.equal((await me.getxattr(path, "user.name")).toString(), "new");
    await refused("EINVAL", me.setxattr(path, "user.name", VALUE, 4));
  },

  async "what is missing is ENODATA"(folder) {
    await using me = await startProcess();
    const path = await makeFile(folder);
    await refused("ENODATA", me.getxattr(path, "user.none"));
    await refused("ENODATA", me.removexattr(path, "user.none"));
    await refused("ENODATA", me.getxattr(path, "trusted.none"));
    await refused("ENODATA", me.getxattr(path, "security.none"));
  },

  async "a name needs a namespace that is known, and something behind it"(folder) {
    await using me = await startProcess();
    const path = await makeFile(folder);
    await refused("EOPNOTSUPP", me.setxattr(path, "name", VALUE));
    await refused("EOPNOTSUPP", me.setxattr(path, "other.name", VALUE));
    await refused("EOPNOTSUPP", me.setxattr(path, "system.name", VALUE));
    await refused("EOPNOTSUPP", me.getxattr(path, "other.name"));
    await refused("EOPNOTSUPP", me.removexattr(path, "other.name"));
    await refused("EINVAL", me.setxattr(path, "user.", VALUE));
    await refused("ERANGE", me.setxattr(path, "", VALUE));
  },

  async "a name of 255 bytes is taken, a longer one is ERANGE"(folder) {
    await using me = await startProcess();
    const path = await makeFile(folder);
    const name = `user.${"n".repeat(250)}`;
    await me.setxattr(path, name, VALUE);
    assert.deepEqual(await me.getxattr(path, name), VALUE);
    await refused("ERANGE", me.setxattr(path, `${name}x`, VALUE));
  },

  async "a value of more than 64 KiB is E2BIG"(folder) {
    await using me = await startProcess();
    const path = await makeFile(folder);
    await refused("E2BIG", me.setxattr(path, "user.name", Buffer.alloc(65_537)));
  },

  async "names may be bytes that are no text"(folder) {
    await using me = await startProcess();
    const path = Buffer.from(await makeFile(folder));
    const name = Buffer.concat([Buffer.from("user."), Buffer.from([0xff, 0xfe, 0x2f, 0x0a])]);
    await me.setxattr(path, name, VALUE);
    assert.deepEqual(await me.getxattr(path, name), VALUE);
    await me.removexattr(path, name);
    await refused("ENODATA", me.getxattr(path, name));
  },

  async "sixty attributes on one file"(folder) {
    await using me = await startProcess();
    const path = await makeFile(folder);
    const names = Array.from({ length: 60 }, (_, at) => `user.${String(at).padStart(2, "0")}`);
    for (const name of names) await me.setxattr(path, name, Buffer.from(name));
    assert.deepEqual((await me.listxattr(path)).toSorted(), names);
    for (const name of names) assert.equal((await me.getxattr(path, name)).toString(), name);
  },

  async "files and directories have user attributes, nothing else has"(folder) {
    await using me = await startProcess();
    await me.setxattr(folder, "user.name", VALUE);
    assert.deepEqual(await me.getxattr(folder, "user.name"), VALUE);
    await me.mknod(join(folder, "fifo"), S_IFIFO | 0o600);
    await refused("EPERM", me.setxattr(join(folder, "fifo"), "user.name", VALUE));
    await refused("ENODATA", me.getxattr(join(folder, "fifo"), "user.name"));
    await me.setxattr(join(folder, "fifo"), "trusted.name", VALUE);
    assert.deepEqual(await me.listxattr(join(folder, "fifo")), ["trusted.name"]);
  },

  async "a symlink is followed to its file's attributes"(folder) {
    await using me = await startProcess();
    const path = await makeFile(folder);
    await me.symlink("file", join(folder, "link"));
    await me.setxattr(join(folder, "link"), "user.name", VALUE);
    assert.deepEqual(await me.listxattr(path), ["user.name"]);
  },

  async "user attributes follow the file's mode"(folder) {
    const path = await makeFile(folder);
    await chown(path, ALICE.uid, ALICE.gid);
    await chmod(path, 0o640);
    await using alice = await startProcess(ALICE);
    await using bob = await startProcess(BOB);
    await alice.setxattr(path, "user.name", VALUE);
    await refused("EACCES", bob.getxattr(path, "user.name"));
    await refused("EACCES", bob.setxattr(path, "user.name", VALUE));
    await refused("EACCES", bob.removexattr(path, "user.name"));
    assert.deepEqual(await bob.listxattr(path), ["user.name"]);
    await chmod(path, 0o604);
    assert.deepEqual(await bob.getxattr(path, "user.name"), VALUE);
    await refused("EACCES", bob.setxattr(path, "user.name", VALUE));
  },

  async "in a sticky directory's own attributes only its owner writes"(folder) {
    const dir = join(folder, "dir");
    await mkdir(dir);
    await chown(dir, ALICE.uid, ALICE.gid);
    await chmod(dir, 0o1777);
    await using alice = await startProcess(ALICE);
    await using bob = await startProcess(BOB);
    await refused("EPERM", bob.setxattr(dir, "user.name", VALUE));
    await alice.setxattr(dir, "user.name", VALUE);
    assert.deepEqual(await bob.getxattr(dir, "user.name"), VALUE);
  },

  async "trusted attributes are root's alone, also in the list"(folder) {
    const path = await makeFile(folder);
    await using root = await startProcess();
    await using alice = await startProcess(ALICE);
    await root.setxattr(path, "trusted.name", VALUE);
    await root.setxattr(path, "user.name", VALUE);
    assert.deepEqual((await root.listxattr(path)).toSorted(), ["trusted.name", "user.name"]);
    assert.deepEqual(await alice.listxattr(path), ["user.name"]);
    await refused("ENODATA", alice.getxattr(path, "trusted.name"));
    await refused("EPERM", alice.setxattr(path, "trusted.name", VALUE));
  },

  async "security attributes are root's to write and everybody's to read"(folder) {
    const path = await makeFile(folder);
    await using root = await startProcess();
    await using alice = await startProcess(ALICE);
    await root.setxattr(path, "security.name", VALUE);
    assert.deepEqual(await alice.getxattr(path, "security.name"), VALUE);
    await refused("EPERM", alice.setxattr(path, "security.name", VALUE));
    assert.deepEqual(await root.listxattr(path), ["security.name"]);
  },

  async "attributes stay with the file through a rename and a second name"(folder) {
    await using me = await startProcess();
    const path = await makeFile(folder);
    await me.setxattr(path, "user.name", VALUE);
    await me.link(path, join(folder, "link"));
    await me.rename(path, join(folder, "moved"));
    assert.deepEqual(await me.getxattr(join(folder, "link"), "user.name"), VALUE);
    await me.unlink(join(folder, "link"));
    assert.deepEqual(await me.getxattr(join(folder, "moved"), "user.name"), VALUE);
  },

  async "a new file of the same name has none"(folder) {
    await using me = await startProcess();
    const path = await makeFile(folder);
    await me.setxattr(path, "user.name", VALUE);
    await me.unlink(path);
    await writeFile(path, "");
    assert.deepEqual(await me.listxattr(path), []);
  },

  async "attributes are set and read through descriptors, also of a file without a name"(folder) {
    await using me = await startProcess();
    const path = await makeFile(folder);
    const fd = await me.open(path, O_RDONLY);
    await me.setxattr(fd, "user.one", VALUE);
    await me.unlink(path);
    assert.deepEqual(await me.listxattr(fd), ["user.one"]);
    await me.setxattr(fd, "user.two", VALUE);
    assert.deepEqual((await me.listxattr(fd)).toSorted(), ["user.one", "user.two"]);
  },

  async "cp --preserve=all brings them along"(folder) {
    await using me = await startProcess();
    const path = await makeFile(folder);
    await me.setxattr(path, "user.name", VALUE);
    const { status, stderr } = await me.run(["cp", "--preserve=all", path, `${path}2`]);
    assert.equal(status, 0, stderr);
    assert.deepEqual(await me.getxattr(`${path}2`, "user.name"), VALUE);
    await copyFile(path, `${path}3`);
    assert.deepEqual(await me.listxattr(`${path}3`), []);
  },
};
