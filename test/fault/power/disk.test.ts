import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { constants } from "node:fs";
import {
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  unlink,
  writeFile,
  type FileHandle,
} from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { makePowerDisk } from "./power-disk.ts";

/** The disk that loses power does what it is there for: it keeps what was synced, and nothing else for sure. */

const disk = await makePowerDisk();
after(() => disk[Symbol.asyncDispose]());

/** Writes to the first page of a mapping, which it syncs. */
const MAPPER = `
import mmap, sys
with open(sys.argv[1], "r+b") as file:
    mapping = mmap.mmap(file.fileno(), 0)
    mapping[2:6] = b"sync"
    mapping.flush(0, 4096)
    file.close()
`;

let folders = 0;

/** A new folder whose name is on the disk. */
async function newFolder(): Promise<string> {
  const path = join(disk.path, `folder${++folders}`);
  await mkdir(path);
  await sync(disk.path);
  return path;
}

async function sync(path: string): Promise<void> {
  await using handle = await open(path, "r");
  await handle.sync();
}

/** Stays open while the power goes, after which nobody can close it in order. */
async function openThrough(path: string, flags: string | number): Promise<FileHandle> {
  const file = await open(path, flags);
  after(() => file.close().catch(() => undefined));
  return file;
}

async function stored(path: string, contents: string): Promise<void> {
  await writeFile(path, contents, { flush: true });
  await sync(join(path, ".."));
}

test("it is a file system", async () => {
  const folder = await newFolder();
  const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7) % 251));
  await writeFile(join(folder, "file"), bytes);
  assert.deepEqual(await readFile(join(folder, "file")), bytes);
  await truncate(join(folder, "file"), 5000);
  await truncate(join(folder, "file"), 9000);
  const expected = Buffer.concat([bytes.subarray(0, 5000), Buffer.alloc(4000)]);
  assert.deepEqual(await readFile(join(folder, "file")), expected);
  await link(join(folder, "file"), join(folder, "other"));
  assert.equal((await stat(join(folder, "file"))).nlink, 2);
  await unlink(join(folder, "file"));
  await rename(join(folder, "other"), join(folder, "third"));
  assert.deepEqual(await readdir(folder), ["third"]);
  await rm(folder, { recursive: true });
  assert.ok(!(await readdir(disk.path)).includes(folder));
});

test("a name that was not synced is gone with what was synced behind it", async () => {
  const folder = await newFolder();
  await writeFile(join(folder, "file"), "contents", { flush: true });
  await mkdir(join(folder, "sub"));
  await stored(join(folder, "sub/file"), "contents");
  await disk.losePower();
  assert.deepEqual(await readdir(folder), []);
});

test("bytes that were not synced are gone, the name that was is there", async () => {
  const folder = await newFolder();
  await writeFile(join(folder, "file"), "contents");
  await sync(folder);
  await disk.losePower();
  assert.equal(await readFile(join(folder, "file"), "utf8"), "");
});

test("synced bytes come back whatever was written over them or cut off", async () => {
  const folder = await newFolder();
  for (const name of ["a", "b", "c"]) await stored(join(folder, name), `contents of ${name}`);
  await writeFile(join(folder, "a"), "other");
  await truncate(join(folder, "b"), 3);
  const file = await openThrough(join(folder, "c"), "r+");
  await file.write("CONTENTS", 0);
  await disk.losePower();
  for (const name of ["a", "b", "c"]) {
    assert.equal(await readFile(join(folder, name), "utf8"), `contents of ${name}`);
  }
});

test("fdatasync, O_SYNC and O_DSYNC keep bytes", async () => {
  const folder = await newFolder();
  const flags = constants.O_CREAT | constants.O_WRONLY;
  const data = await openThrough(join(folder, "data"), flags);
  const whole = await openThrough(join(folder, "whole"), flags | constants.O_SYNC);
  const only = await openThrough(join(folder, "only"), flags | constants.O_DSYNC);
  await sync(folder);
  for (const file of [data, whole, only]) await file.write("synced");
  await data.datasync();
  await data.write(" and not");
  await disk.losePower();
  for (const name of ["data", "whole", "only"]) {
    assert.equal(await readFile(join(folder, name), "utf8"), "synced");
  }
});

test("msync keeps what a program wrote to its mapping", async () => {
  const folder = await newFolder();
  await stored(join(folder, "file"), "a".repeat(8192));
  await promisify(execFile)("python3", ["-c", MAPPER, join(folder, "file")]);
  await disk.losePower();
  assert.equal((await readFile(join(folder, "file"), "utf8")).slice(0, 7), "aasynca");
});

test("a removal, a rename and a new link happened when their folder was synced, else they did not", async () => {
  const folder = await newFolder();
  for (const name of ["gone", "old", "linked", "replaced"]) await stored(join(folder, name), name);
  const change = async (): Promise<void> => {
    await unlink(join(folder, "gone"));
    await rename(join(folder, "old"), join(folder, "replaced"));
    await link(join(folder, "linked"), join(folder, "link"));
  };
  await change();
  await disk.losePower();
  assert.deepEqual((await readdir(folder)).toSorted(), ["gone", "linked", "old", "replaced"]);
  await change();
  await sync(folder);
  await disk.losePower();
  assert.deepEqual((await readdir(folder)).toSorted(), ["link", "linked", "replaced"]);
  assert.equal(await readFile(join(folder, "replaced"), "utf8"), "old");
});

test("a move to another folder is never half done", async () => {
  const [from, to] = [await newFolder(), await newFolder()];
  await stored(join(from, "file"), "contents");
  await rename(join(from, "file"), join(to, "file"));
  await sync(from);
  await disk.losePower();
  assert.deepEqual([await readdir(from), await readdir(to)], [[], ["file"]]);
});

test("by chance some pages, lengths and names are left that were not synced, others not", async () => {
  const folder = await newFolder();
  const [pages, count] = [8, 20];
  for (let number = 0; number < count; number++) {
    await stored(join(folder, `file${number}`), "a".repeat(pages * 4096));
  }
  await sync(folder);
  for (let number = 0; number < count; number++) {
    await using file = await open(join(folder, `file${number}`), "r+");
    await file.write("b".repeat(pages * 4096 + 100), 0);
    await writeFile(join(folder, `new${number}`), "");
  }
  await disk.losePower(7);
  const names = await readdir(folder);
  const fresh = names.filter((name) => name.startsWith("new")).length;
  assert.ok(fresh > 0 && fresh < count, `${fresh}`);
  const kinds = new Set<string>();
  for (let number = 0; number < count; number++) {
    const bytes = await readFile(join(folder, `file${number}`), "latin1");
    kinds.add(String(bytes.length - pages * 4096));
    for (let page = 0; page < pages; page++) {
      const [letter = "", ...others] = new Set(bytes.slice(page * 4096, (page + 1) * 4096));
      assert.deepEqual(others, []);
      kinds.add(letter);
    }
  }
  assert.deepEqual([...kinds].toSorted(), ["0", "100", "a", "b"]);
});

test("who uses it when the power goes waits, and is told nothing but that it failed", async () => {
  const folder = await newFolder();
  const file = await openThrough(join(folder, "file"), "w");
  await sync(folder);
  let answered = false;
  let writing: Promise<void> | undefined;
  await disk.losePower(0, async () => {
    writing = file.write("contents").then(
      () => assert.fail("it was written"),
      () => {
        answered = true;
      },
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(answered, false);
  });
  await writing;
  assert.equal(await readFile(join(folder, "file"), "utf8"), "");
});
