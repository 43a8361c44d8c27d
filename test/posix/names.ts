import assert from "node:assert/strict";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { refused, type Rules } from "./rules.ts";
import { O_CREAT, O_EXCL, O_WRONLY, S_IFIFO, S_IFMT, S_IFDIR } from "./support/calls.ts";
import { startProcess } from "./support/process.ts";

/** What a name may be. */

const LONGEST = "n".repeat(255);
const ODD_NAMES: Readonly<Record<string, Buffer>> = {
  "bytes that are no UTF-8": Buffer.from([0xff, 0xfe, 0x80, 0xc0]),
  "every byte but slash and zero": Buffer.from(
    Array.from({ length: 255 }, (_, index) => index + 1).filter((byte) => byte !== 0x2f),
  ),
  "a line break": Buffer.from("a\nb"),
  "blanks at both ends": Buffer.from("  a  "),
  "a backslash and quotes": Buffer.from("\\a\"b'c"),
  "a leading dash": Buffer.from("-rf"),
  "three dots": Buffer.from("..."),
  "a trailing dot": Buffer.from("a."),
  "one blank": Buffer.from(" "),
  "a star and a question mark": Buffer.from("*?[a]"),
  "255 bytes of UTF-8": Buffer.from(`${"é".repeat(127)}x`),
  emoji: Buffer.from("🦔🦔🦔"),
  "a name like a cursor": Buffer.from("0"),
};

function inside(folder: string, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${folder}/`), name]);
}

const odd: Rules = Object.fromEntries(
  Object.entries(ODD_NAMES).map(([what, name]) => [
    `a file can be named with ${what}`,
    async (folder: string) => {
      await using me = await startProcess();
      const path = inside(folder, name);
      await me.close(await me.open(path, O_CREAT | O_EXCL | O_WRONLY, 0o644));
      const [listed] = await readdir(folder, { encoding: "buffer" });
      assert.deepEqual(listed, name);
      await refused("EEXIST", me.open(path, O_CREAT | O_EXCL | O_WRONLY, 0o644));
      await me.rename(path, join(folder, "moved"));
      await me.link(join(folder, "moved"), path);
      await me.unlink(path);
      assert.deepEqual(await readdir(folder), ["moved"]);
    },
  ]),
);

export const names: Rules = {
  ...odd,

  async "a name of 255 bytes can be given to everything"(folder) {
    await using me = await startProcess();
    const path = join(folder, LONGEST);
    await me.mkdir(path);
    await me.rmdir(path);
    await me.symlink("target", path);
    await me.unlink(path);
    await me.mknod(path, S_IFIFO | 0o600);
    await me.rename(path, join(folder, "fifo"));
    await me.link(join(folder, "fifo"), path);
    assert.deepEqual((await readdir(folder)).toSorted(), ["fifo", LONGEST]);
  },

  async "a path of 4095 bytes can be used"(folder) {
    await writeFile(join(folder, "file"), "content");
    const dots = "/.".repeat(Math.floor((4095 - folder.length - 5) / 2));
    const path = `${folder}${dots}${"/".repeat(4095 - folder.length - dots.length - 4)}file`;
    assert.equal(path.length, 4095);
    assert.equal(await readFile(path, "utf8"), "content");
  },

  async "directories can be nested deeper than the longest path"(folder) {
    await using me = await startProcess();
    await me.chdir(folder);
    for (let depth = 0; depth < 40; depth++) {
      await me.mkdir("d".repeat(200));
      await me.chdir("d".repeat(200));
    }
    await me.close(await me.open("deepest", O_CREAT | O_WRONLY, 0o644));
    await me.stat("deepest");
    await refused("ENOENT", me.stat("other"));
    await me.chdir(folder);
    await me.run(["rm", "-rf", "d".repeat(200)]);
    assert.deepEqual(await readdir(folder), []);
  },

  async "upper and lower case are different names"(folder) {
    await writeFile(join(folder, "name"), "lower");
    await writeFile(join(folder, "NAME"), "upper");
    assert.equal(await readFile(join(folder, "name"), "utf8"), "lower");
    assert.deepEqual((await readdir(folder)).toSorted(), ["NAME", "name"]);
  },

  async "composed and decomposed letters are different names"(folder) {
    await writeFile(join(folder, "\u00e9"), "composed");
    await writeFile(join(folder, "e\u0301"), "decomposed");
    assert.equal(await readFile(join(folder, "\u00e9"), "utf8"), "composed");
    assert.equal((await readdir(folder)).length, 2);
  },

  async "a name that was removed can be given to another type at once"(folder) {
    await using me = await startProcess();
    const path = join(folder, "name");
    for (let round = 0; round < 5; round++) {
      await me.close(await me.open(path, O_CREAT | O_EXCL | O_WRONLY, 0o644));
      await me.unlink(path);
      await me.mkdir(path);
      assert.equal((await me.stat(path)).mode & S_IFMT, S_IFDIR);
      await me.rmdir(path);
      await me.symlink("nowhere", path);
      await refused("ENOENT", me.stat(path));
      await me.unlink(path);
    }
    await refused("ENOENT", me.lstat(path));
  },

  async "dot and dot-dot are the directory and the one above it"(folder) {
    await mkdir(join(folder, "a/b"), { recursive: true });
    const [own, above] = [await stat(join(folder, "a")), await stat(folder)];
    assert.equal((await stat(join(folder, "a/."))).ino, own.ino);
    assert.equal((await stat(join(folder, "a/.."))).ino, above.ino);
    assert.equal((await stat(join(folder, "a/b/.."))).ino, own.ino);
  },

  async "dot and dot-dot cannot be made, removed or renamed"(folder) {
    await using me = await startProcess();
    const dir = join(folder, "dir");
    await me.mkdir(dir);
    await refused("EEXIST", me.mkdir(`${dir}/.`));
    await refused("EEXIST", me.mkdir(`${dir}/..`));
    await refused("EINVAL", me.rmdir(`${dir}/.`));
    await refused("ENOTEMPTY", me.rmdir(`${dir}/..`));
    await refused("EBUSY", me.rename(`${dir}/.`, join(folder, "new")));
    await refused("EBUSY", me.rename(`${dir}/..`, join(folder, "new")));
    await refused("EISDIR", me.unlink(`${dir}/.`));
  },

  async "a trailing slash asks for a directory"(folder) {
    await using me = await startProcess();
    const file = join(folder, "file");
    await writeFile(file, "");
    await refused("ENOTDIR", me.stat(`${file}/`));
    await refused("ENOTDIR", me.unlink(`${file}/`));
    await refused("ENOTDIR", me.truncate(`${file}/`, 0));
    await refused("ENOTDIR", me.rename(`${file}/`, join(folder, "new")));
    await refused("EISDIR", me.open(join(folder, "new/"), O_CREAT | O_WRONLY, 0o644));
    await refused("ENOENT", me.symlink("target", join(folder, "new/")));
    await me.mkdir(join(folder, "new/"));
    await me.rename(join(folder, "new/"), join(folder, "newer/"));
    await me.rmdir(join(folder, "newer/"));
  },

  async "a directory with 3000 names lists each once"(folder) {
    await using me = await startProcess();
    await me.make_files(folder, "some-name-", 3000);
    const listed = await readdir(folder);
    assert.equal(listed.length, 3000);
    assert.equal(new Set(listed).size, 3000);
    await rm(folder, { recursive: true });
  },
};
