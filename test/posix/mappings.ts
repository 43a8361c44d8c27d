import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { refused, type Rules } from "./rules.ts";
import {
  MAP_PRIVATE,
  MAP_SHARED,
  O_APPEND,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  PROT_READ,
  PROT_WRITE,
} from "./support/calls.ts";
import { startProcess } from "./support/process.ts";

/** mmap(2), beside read(2) and write(2). */

const BOTH = PROT_READ | PROT_WRITE;

export const mappings: Rules = {
  async "a mapping shows the file, and a write to it at once"(folder) {
    await using me = await startProcess();
    const fd = await me.open(join(folder, "file"), O_CREAT | O_RDWR, 0o644);
    await me.write(fd, Buffer.alloc(10_000, 1));
    const map = await me.map_file(fd, 10_000, PROT_READ, MAP_SHARED);
    assert.deepEqual(await me.map_read(map, 0, 10_000), Buffer.alloc(10_000, 1));
    await me.pwrite(fd, Buffer.from("changed"), 5000);
    assert.equal((await me.map_read(map, 5000, 7)).toString(), "changed");
  },

  async "a write to a shared mapping is read at once, by other processes too"(folder) {
    await using me = await startProcess();
    await using other = await startProcess();
    const path = join(folder, "file");
    await writeFile(path, Buffer.alloc(8192, 1));
    const fd = await me.open(path, O_RDWR);
    const map = await me.map_file(fd, 8192, BOTH, MAP_SHARED);
    await me.map_write(map, 4090, Buffer.from("over the page"));
    assert.equal((await me.pread(fd, 13, 4090)).toString(), "over the page");
    const theirs = await other.open(path, O_RDONLY);
    assert.equal((await other.pread(theirs, 13, 4090)).toString(), "over the page");
    const second = await other.map_file(theirs, 8192, PROT_READ, MAP_SHARED);
    assert.equal((await other.map_read(second, 4090, 13)).toString(), "over the page");
  },

  async "a private mapping keeps its changes to itself"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    await writeFile(path, Buffer.alloc(4096, 1));
    const fd = await me.open(path, O_RDONLY);
    const map = await me.map_file(fd, 4096, BOTH, MAP_PRIVATE);
    await me.map_write(map, 0, Buffer.from("mine"));
    assert.equal((await me.map_read(map, 0, 4)).toString(), "mine");
    assert.deepEqual(await me.pread(fd, 4, 0), Buffer.alloc(4, 1));
    await me.map_close(map);
    assert.deepEqual(await readFile(path), Buffer.alloc(4096, 1));
  },

  async "a file opened to append is mapped, and both see each other"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    const fd = await me.open(path, O_CREAT | O_RDWR | O_APPEND, 0o644);
    await me.write(fd, Buffer.alloc(4096, "a"));
    const map = await me.map_file(fd, 4096, BOTH, MAP_SHARED);
    await me.map_write(map, 1, Buffer.from("mapped"));
    assert.equal((await me.pread(fd, 8, 0)).toString(), "amappeda");
    await me.write(fd, Buffer.from("appended"));
    await me.map_write(map, 4090, Buffer.from("border"));
    assert.equal((await me.pread(fd, 14, 4090)).toString(), "borderappended");
    await me.map_close(map);
    await me.close(fd);
    const contents = (await readFile(path)).toString();
    assert.equal(contents.length, 4104);
    assert.deepEqual([contents.slice(0, 8), contents.slice(4090)], ["amappeda", "borderappended"]);
  },

  async "what was mapped and written is there when everything is closed"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    const fd = await me.open(path, O_CREAT | O_RDWR, 0o644);
    await me.ftruncate(fd, 1_000_000);
    const map = await me.map_file(fd, 1_000_000, BOTH, MAP_SHARED);
    await me.close(fd);
    for (let at = 0; at < 1_000_000; at += 50_000)
      await me.map_write(map, at, Buffer.from([at / 50_000 + 1]));
    await me.map_sync(map);
    await me.map_close(map);
    const content = await readFile(path);
    for (let at = 0; at < 1_000_000; at += 50_000) assert.equal(content[at], at / 50_000 + 1);
  },

  async "msync stores a mapping of a file whose name is gone"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    await writeFile(path, Buffer.alloc(4096, 1));
    const fd = await me.open(path, O_RDWR);
    const map = await me.map_file(fd, 4096, BOTH, MAP_SHARED);
    await me.unlink(path);
    await me.map_write(map, 0, Buffer.from("still"));
    await me.map_sync(map);
    assert.equal((await me.pread(fd, 5, 0)).toString(), "still");
  },

  async "a mapping follows a truncation and a longer file"(folder) {
    await using me = await startProcess();
    const fd = await me.open(join(folder, "file"), O_CREAT | O_RDWR, 0o644);
    await me.write(fd, Buffer.alloc(4096, 1));
    const map = await me.map_file(fd, 4096, BOTH, MAP_SHARED);
    await me.ftruncate(fd, 100);
    assert.deepEqual(await me.map_read(map, 100, 3996), Buffer.alloc(3996));
    await me.ftruncate(fd, 4096);
    await me.pwrite(fd, Buffer.from("new"), 2000);
    assert.equal((await me.map_read(map, 2000, 3)).toString(), "new");
    assert.deepEqual(await me.map_read(map, 0, 100), Buffer.alloc(100, 1));
  },

  async "a mapping may begin at any page"(folder) {
    await using me = await startProcess();
    const fd = await me.open(join(folder, "file"), O_CREAT | O_RDWR, 0o644);
    await me.pwrite(fd, Buffer.from("page two"), 8192);
    const map = await me.map_file(fd, 8, BOTH, MAP_SHARED, 8192);
    assert.equal((await me.map_read(map, 0, 8)).toString(), "page two");
  },

  async "a shared mapping is written only through a descriptor that may"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    await writeFile(path, "content");
    await refused("EACCES", me.map_file(await me.open(path, O_RDONLY), 7, BOTH, MAP_SHARED));
    await refused("EACCES", me.map_file(await me.open(path, O_WRONLY), 7, PROT_READ, MAP_SHARED));
  },

  async "a program is mapped and runs while its name is replaced"(folder) {
    await using me = await startProcess();
    const path = join(folder, "sleep");
    await me.run(["cp", "/bin/sleep", path]);
    const pid = await me.spawn([path, "30"]);
    await me.run(["cp", "/bin/true", `${path}.new`]);
    await me.rename(`${path}.new`, path);
    assert.equal((await me.run([path])).status, 0);
    await me.run(["kill", "-0", String(pid)]);
    await me.finish(pid);
  },

  async "a file opened again and again shows what a mapping wrote"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    for (let round = 0; round < 10; round++) {
      const fd = await me.open(path, O_CREAT | O_RDWR | O_TRUNC, 0o644);
      await me.ftruncate(fd, 4096);
      const map = await me.map_file(fd, 4096, BOTH, MAP_SHARED);
      await me.map_write(map, round * 10, Buffer.from(`round ${round}`));
      await me.map_close(map);
      await me.close(fd);
      const content = await readFile(path);
      assert.equal(content.subarray(round * 10, round * 10 + 7).toString(), `round ${round}`);
      assert.equal(content.filter((byte) => byte !== 0).length, 7);
    }
  },
};
