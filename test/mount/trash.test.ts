import assert from "node:assert/strict";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } from "../posix/support/calls.ts";
import { refused } from "../posix/rules.ts";
import { ALICE, endProcesses, startProcess, type TestProcess } from "../posix/support/process.ts";
import { formatTestVolume, mountVolume, type TestVolumeOnDisk } from "../support/mount.ts";

/** What is removed on a mount, and who sees it. */

suite("the trash of a mounted volume", () => {
  const stack = new AsyncDisposableStack();
  let volume: TestVolumeOnDisk;
  let root = "";
  let me: TestProcess;
  let alice: TestProcess;

  before(async () => {
    volume = stack.use(await formatTestVolume());
    await chmod(volume.folder, 0o711);
    root = stack.use(await mountVolume(volume)).path;
    [me, alice] = [await startProcess(), await startProcess(ALICE)];
  });
  after(async () => {
    await endProcesses();
    await stack.disposeAsync();
  });

  const at = (...names: string[]): string => join(root, ...names);

  async function make(path: string, contents: string): Promise<number> {
    const fd = await me.open(path, O_CREAT | O_RDWR, 0o644);
    await me.write(fd, Buffer.from(contents));
    await me.close(fd);
    return (await me.stat(path)).ino;
  }

  async function contentsOf(path: string): Promise<string> {
    const fd = await me.open(path, O_RDONLY);
    const bytes = await me.read(fd, 1000);
    await me.close(fd);
    return bytes.toString();
  }

  /** Where what was removed lies; an hour may end while a test runs. */
  async function trashed(name: string): Promise<string | undefined> {
    for (const hour of await me.listdir(at(".trash"))) {
      const names = (await me.listdir(at(".trash", String(hour)))).map(String);
      if (names.includes(name)) return at(".trash", String(hour), name);
    }
    return undefined;
  }

  test("root finds it at the volume's root, nobody else does, and no listing shows it", async () => {
    await make(at("seen"), "");
    await me.unlink(at("seen"));
    assert.equal((await me.stat(at(".trash"))).mode & 0o7777, 0o555);
    assert.ok(!(await me.listdir(root)).map(String).includes(".trash"));
    await refused("ENOENT", alice.stat(at(".trash")));
    await me.mkdir(at("below"));
    await refused("ENOENT", me.stat(at("below", ".trash")));
    await using part = await mountVolume(volume, ["--subdir", "/below"]);
    await refused("ENOENT", me.stat(join(part.path, ".trash")));
  });

  test("what was removed or replaced lies there with its contents, and root takes it back", async () => {
    const removed = await make(at("removed"), "once here");
    await me.unlink(at("removed"));
    const replaced = await make(at("replaced"), "older");
    await make(at("newer"), "newer");
    await me.rename(at("newer"), at("replaced"));
    const place = await trashed(`1-${removed}-removed`);
    assert.ok(place !== undefined, "it is in the trash");
    assert.equal(await contentsOf(place), "once here");
    assert.equal(await contentsOf((await trashed(`1-${replaced}-replaced`)) ?? ""), "older");
    assert.equal((await me.stat(place)).nlink, 0);
    await me.rename(place, at("back"));
    assert.equal(await contentsOf(at("back")), "once here");
    assert.equal((await me.stat(at("back"))).nlink, 1);
    assert.equal(await trashed(`1-${removed}-removed`), undefined);
  });

  test("a directory lies there too, and what root removes from the trash is gone", async () => {
    await me.mkdir(at("folder"));
    const { ino } = await me.stat(at("folder"));
    await me.rmdir(at("folder"));
    const place = await trashed(`1-${ino}-folder`);
    assert.ok(place !== undefined, "it is in the trash");
    await me.rmdir(place);
    assert.equal(await trashed(`1-${ino}-folder`), undefined);
  });

  test("nothing can be made, written or moved there", async () => {
    const ino = await make(at("kept"), "as it was");
    await me.unlink(at("kept"));
    const place = await trashed(`1-${ino}-kept`);
    assert.ok(place !== undefined, "it is in the trash");
    const hour = join(place, "..");
    await refused("EPERM", me.open(join(hour, "new"), O_CREAT | O_WRONLY, 0o644));
    await refused("EPERM", me.mkdir(join(hour, "new")));
    await refused("EPERM", me.mkdir(at(".trash", "new")));
    await refused("EPERM", me.open(place, O_WRONLY));
    await refused("EPERM", me.truncate(place, 0));
    await refused("EPERM", me.chmod(place, 0o777));
    await make(at("other"), "");
    await refused("EPERM", me.rename(at("other"), join(hour, "other")));
    await refused("EPERM", me.link(at("other"), join(hour, "other")));
    await refused("EPERM", me.rmdir(hour));
    await refused("EPERM", me.rmdir(at(".trash")));
    await refused("EEXIST", me.mkdir(at(".trash")));
    await refused("EPERM", me.rename(at(".trash"), at("moved")));
    assert.equal(await contentsOf(place), "as it was");
  });

  test("a name of 255 bytes is cut in the trash, and its file can be taken back", async () => {
    const name = "n".repeat(255);
    const ino = await make(at(name), "long");
    await me.unlink(at(name));
    const place = await trashed(`1-${ino}-${name}`.slice(0, 255));
    assert.ok(place !== undefined, "it is in the trash");
    await me.rename(place, at(name));
    assert.equal(await contentsOf(at(name)), "long");
  });

  test("a file with the flag for it is removed past the trash", async () => {
    const ino = await make(at("secret"), "");
    const fd = await me.open(at("secret"), O_RDONLY);
    const SECRM = 1;
    await me.set_flags(fd, SECRM);
    await me.close(fd);
    await me.unlink(at("secret"));
    assert.equal(await trashed(`1-${ino}-secret`), undefined);
  });
});
