import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, readlink, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import {
  F_SETLK,
  F_UNLCK,
  F_WRLCK,
  LOCK_EX,
  O_CREAT,
  O_EXCL,
  O_WRONLY,
  S_IFIFO,
} from "../posix/support/calls.ts";
import { endProcesses, startProcess, type TestProcess } from "../posix/support/process.ts";
import { makeFolder } from "../support/folder.ts";
import {
  formatTestVolume,
  mountVolume,
  type TestMount,
  type TestVolumeOnDisk,
} from "../support/mount.ts";
import { countRoundTrips, type RoundTrips } from "../support/round-trips.ts";
import { until } from "../support/process.ts";

/** How often a mount asks Redis, counted at the server. */

const run = promisify(execFile);
/** `TREE_FILES` makes it larger: each folder holds 100. */
const TREE = { folders: Number(process.env["TREE_FILES"] ?? 1000) / 100, files: 100 };
/** No heartbeat comes in between. */
const QUIET = ["--heartbeat", "3600", "--no-bgjob"];

suite("round trips", () => {
  const stack = new AsyncDisposableStack();
  let volume: TestVolumeOnDisk;
  let mount: TestMount;
  let trips: RoundTrips;
  let me: TestProcess;

  before(async () => {
    volume = stack.use(await formatTestVolume({ format: ["--trash-days", "0"] }));
    mount = stack.use(await mountVolume(volume, QUIET));
    trips = stack.use(await countRoundTrips(volume.server));
    me = stack.use(await startProcess());
    // Until the mount has heard that nobody else is there.
    await until("answers are kept", async () => {
      await stat(mount.path);
      return (await trips.during(() => stat(mount.path))).length === 0;
    });
  });
  after(async () => {
    await stack.disposeAsync();
    await endProcesses();
  });

  /** A new folder of that name, with what `fill` makes in it, that was never listed. */
  async function folder(name: string): Promise<string> {
    const path = join(mount.path, name);
    await mkdir(path);
    return path;
  }

  async function costs(
    expected: number,
    what: string,
    work: () => Promise<unknown>,
  ): Promise<void> {
    const sent = await trips.during(work);
    assert.equal(sent.length, expected, `${what}: ${sent.join("; ")}`);
  }

  test("a change costs one, with the look-up before it, in a directory that is known in full", async () => {
    const at = await folder("changes");
    const path = (name: string): string => join(at, name);
    await costs(1, "create and close", async () => {
      await me.close(await me.open(path("f"), O_CREAT | O_EXCL | O_WRONLY, 0o644));
    });
    await costs(1, "mkdir", () => me.mkdir(path("d")));
    await costs(1, "mknod", () => me.mknod(path("fifo"), S_IFIFO | 0o600));
    await costs(1, "symlink", () => me.symlink("target", path("sl")));
    await costs(1, "link", () => me.link(path("f"), path("hard")));
    await costs(1, "rename", () => me.rename(path("hard"), path("moved")));
    await costs(1, "rename over another name", () => me.rename(path("fifo"), path("moved")));
    await costs(1, "chmod", () => me.chmod(path("f"), 0o600));
    await costs(1, "chown", () => me.chown(path("f"), 1, 2));
    await costs(1, "utimensat", () => me.utimensat(path("f"), [1, 0], [2, 0]));
    await costs(1, "truncate", () => me.truncate(path("f"), 10_000));
    await costs(1, "setxattr", () => me.setxattr(path("f"), "user.a", Buffer.from("b")));
    await costs(1, "unlink", () => me.unlink(path("moved")));
    await costs(1, "rmdir", () => me.rmdir(path("d")));
    await costs(1, "unlink of a symlink", () => me.unlink(path("sl")));
    const fd = await me.open(path("f"), O_WRONLY);
    await costs(1, "slice commit", async () => {
      await me.write(fd, Buffer.from("data"));
      await me.fsync(fd);
    });
    await costs(1, "flock", () => me.flock(fd, LOCK_EX));
    await costs(1, "lock of a range", () => me.lock(fd, F_SETLK, F_WRLCK, 0, 10));
    await costs(1, "unlock of a range", () => me.lock(fd, F_SETLK, F_UNLCK, 0, 10));
    await me.close(fd);
  });

  test("a file that is made where nothing is known of the directory costs two", async () => {
    await folder("unknown");
    await using other = await mountVolume(volume, QUIET);
    const at = join(other.path, "unknown");
    await until("answers are kept", async () => {
      await stat(at);
      return (await trips.during(() => stat(at))).length === 0;
    });
    await costs(2, "create and close", () => writeFile(join(at, "f"), ""));
    await costs(1, "names that are not there, looked for twice", async () => {
      for (let round = 0; round < 2; round++) await assert.rejects(stat(join(at, "none")));
    });
    await readdir(at);
    await costs(0, "names that are not there after a listing", () =>
      assert.rejects(stat(join(at, "other"))),
    );
    await costs(1, "create and close after a listing", () => writeFile(join(at, "g"), ""));
  });

  test("how full the volume is costs one after each change, and none while nothing changes", async () => {
    const at = await folder("usage");
    const used = async (): Promise<number> => {
      const { files, ffree } = await me.statvfs(mount.path);
      return files - ffree;
    };
    await used();
    await costs(0, "statvfs again", used);
    await writeFile(join(at, "f"), "");
    const before = await used();
    await me.unlink(join(at, "f"));
    await costs(1, "statvfs after a change", async () => {
      assert.equal(await used(), before - 1);
    });
    await using other = await mountVolume(volume, QUIET);
    await used();
    await writeFile(join(other.path, "usage/g"), "");
    await until("the other's file is counted", async () => (await used()) === before);
  });

  test("what was read before is read from memory, also when the kernel forgot it", async () => {
    const at = await folder("reads");
    const path = (name: string): string => join(at, name);
    await writeFile(path("f"), "");
    await writeFile(path("short"), "short");
    await me.symlink("target", path("sl"));
    await me.setxattr(path("f"), "user.a", Buffer.from("b"));
    const read = async (): Promise<void> => {
      await stat(path("f"));
      await readlink(path("sl"));
      await me.getxattr(path("f"), "user.a");
      await assert.rejects(me.getxattr(path("f"), "user.none"), { code: "ENODATA" });
      assert.deepEqual(await me.listxattr(path("f")), ["user.a"]);
    };
    await read();
    await costs(0, "hot", read);
    await using other = await mountVolume(volume, QUIET);
    const cold = (name: string): string => join(other.path, "reads", name);
    await stat(join(other.path, "reads"));
    await until("answers are kept", async () => {
      return (await trips.during(() => stat(join(other.path, "reads")))).length === 0;
    });
    await costs(1, "lookup, cold", () => stat(cold("f")));
    await costs(1, "readlink, cold, with its look-up", () => readlink(cold("sl")));
    await costs(1, "a short file, cold, read whole", async () => {
      assert.equal(await readFile(cold("short"), "utf8"), "short");
    });
    await costs(1, "getxattr, cold", () => me.getxattr(cold("f"), "user.a"));
    await costs(0, "getxattr of another name", () =>
      assert.rejects(me.getxattr(cold("f"), "user.none"), { code: "ENODATA" }),
    );
    const drop = (): Promise<unknown> => writeFile("/proc/sys/vm/drop_caches", "2");
    await drop();
    await costs(0, "after the kernel forgot", async () => {
      await stat(cold("f"));
      await readlink(cold("sl"));
    });
  });

  test("a tree that was seen before costs nothing: git status, find, du, ls, and rsync of it", async () => {
    const at = await folder("tree");
    const git = (...args: string[]): Promise<unknown> => {
      const who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.fsmonitor=false"];
      // It would write the index anew, and that is a change.
      const env = { ...process.env, GIT_OPTIONAL_LOCKS: "0" };
      return run("git", ["-C", at, ...who, ...args], { env });
    };
    await git("init", "-q");
    for (let sub = 0; sub < TREE.folders; sub++) {
      await mkdir(join(at, `d${sub}/e`), { recursive: true });
      await me.make_files(join(at, `d${sub}/e`), "f", TREE.files);
    }
    await git("add", "-A");
    await git("commit", "-q", "-m", "all");
    const copy = await makeFolder();
    try {
      const rsync = (): Promise<unknown> => run("rsync", ["-a", `${at}/`, join(copy.path, "copy")]);
      const walks: Record<string, () => Promise<unknown>> = {
        "git status": () => git("status", "--porcelain"),
        find: () => run("find", [at, "-newer", at], { maxBuffer: 1 << 26 }),
        du: () => run("du", ["-s", at]),
        "ls -lR": () => run("ls", ["-lR", at], { maxBuffer: 1 << 26 }),
        rsync,
      };
      for (const walk of Object.values(walks)) await walk();
      for (const [name, walk] of Object.entries(walks)) await costs(0, name, walk);
    } finally {
      await copy[Symbol.asyncDispose]();
    }
  });

  test("a directory of n entries is listed with 1 + n/4096, with attributes, and with none again", async () => {
    for (const [name, count] of [
      ["few", 100],
      ["many", 5000],
    ] as const) {
      const at = await folder(name);
      await me.make_files(at, "f", count);
      await using other = await mountVolume(volume, QUIET);
      const cold = join(other.path, name);
      await stat(cold);
      await until("answers are kept", async () => {
        return (await trips.during(() => stat(cold))).length === 0;
      });
      const sent = await trips.during(() => run("ls", ["-l", cold]));
      assert.ok(
        sent.length <= 1 + count / 4096,
        `${name}: ${sent.length}: ${sent.slice(0, 9).join("; ")}`,
      );
      await costs(0, `${name} again`, () => run("ls", ["-l", cold]));
      await writeFile("/proc/sys/vm/drop_caches", "2");
      await costs(0, `${name} after the kernel forgot`, async () => {
        const { stdout } = await run("ls", ["-l", cold]);
        assert.equal(stdout.trim().split("\n").length, count + 1);
      });
    }
  });
});
