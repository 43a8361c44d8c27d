import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import {
  chmod,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  stat,
  unlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { KEEP_SIZE, O_CREAT, O_RDWR, O_WRONLY, PUNCH_HOLE } from "../posix/support/calls.ts";
import { endProcesses, startProcess } from "../posix/support/process.ts";
import { MINIO_PASSWORD, MINIO_USER, startMinio } from "../support/minio.ts";
import { askTestMount } from "../support/mount.ts";
import { mountPair, settled, type Pair } from "../support/pair.ts";
import { startProgram, until } from "../support/process.ts";
import { countRoundTrips } from "../support/round-trips.ts";
import { startProxy, type TcpProxy } from "../support/tcp-proxy.ts";

/** What the kernel is told, by which thread, and what it must never be told. */

const run = promisify(execFile);
const PAGE = 4096;

after(endProcesses);

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** How often the serving process was given something to read: requests most of all. */
async function requestsOf({ two, volume }: Pair): Promise<number> {
  const { serverPid } = await askTestMount({ path: two.path, folder: volume.folder });
  return Number(/syscr: (\d+)/.exec(readFileSync(`/proc/${serverPid}/io`, "utf8"))?.[1]);
}

function isMountPoint(path: string): boolean {
  return readFileSync("/proc/self/mountinfo", "utf8").includes(` ${path} `);
}

/** What a container has mounted inside the volume: a file system of its own, and a folder and a file that come from elsewhere. */
async function mountInside(folder: string, outside: string): Promise<AsyncDisposable> {
  await mkdir(join(folder, "tmpfs"));
  await mkdir(join(folder, "bound"));
  await writeFile(join(folder, "file"), "of the volume");
  await mkdir(outside, { recursive: true });
  await writeFile(join(outside, "file"), "from elsewhere");
  await run("mount", ["-t", "tmpfs", "none", join(folder, "tmpfs")]);
  await run("mount", ["--bind", outside, join(folder, "bound")]);
  await run("mount", ["--bind", join(outside, "file"), join(folder, "file")]);
  await writeFile(join(folder, "tmpfs/nested"), "nested");
  return {
    async [Symbol.asyncDispose]() {
      for (const name of ["tmpfs", "bound", "file"]) {
        await run("umount", [join(folder, name)]).catch(() => undefined);
      }
    },
  };
}

async function stillInside(folder: string, after: string): Promise<void> {
  for (const name of ["tmpfs", "bound", "file"]) {
    assert.ok(isMountPoint(join(folder, name)), `${name} is gone after ${after}`);
  }
  assert.equal(await readFile(join(folder, "tmpfs/nested"), "utf8"), "nested");
  assert.equal(await readFile(join(folder, "bound/file"), "utf8"), "from elsewhere");
  assert.equal(await readFile(join(folder, "file"), "utf8"), "from elsewhere");
}

test("what is mounted inside the volume survives every invalidation and every loss of the subscription", async () => {
  let proxy: TcpProxy | undefined;
  const stack = new AsyncDisposableStack();
  try {
    const pair = stack.use(
      await mountPair({
        // An operation waits 3 s for the server.
        mount: ["--io-retries", "1"],
        secondUrl: async ({ server }) => {
          proxy = stack.use(await startProxy(server.port));
          return `redis://127.0.0.1:${proxy.port}/1`;
        },
      }),
    );
    assert.ok(proxy !== undefined);
    const theirs = join(pair.one.path, "a/b");
    const ours = join(pair.two.path, "a/b");
    await mkdir(theirs, { recursive: true });
    stack.use(await mountInside(ours, join(pair.volume.folder, "outside")));
    await until("the other mount sees the folders", () => exists(join(theirs, "bound")));
    await stillInside(ours, "mounting");

    await chmod(join(theirs, "tmpfs"), 0o700);
    await chmod(theirs, 0o750);
    await chmod(join(pair.one.path, "a"), 0o711);
    await writeFile(join(theirs, "beside"), "x");
    await rename(join(theirs, "beside"), join(theirs, "beside2"));
    await unlink(join(theirs, "beside2"));
    await writeFile(join(theirs, "file"), "changed in the volume");
    await until("changes are seen", async () => ((await stat(ours)).mode & 0o777) === 0o750);
    await stillInside(ours, "changes by another mount");

    await rename(join(pair.one.path, "a"), join(pair.one.path, "c"));
    await until("the move is seen", () => exists(join(pair.two.path, "c/b")));
    await stillInside(join(pair.two.path, "c/b"), "a move of the folder above");
    await rename(join(pair.one.path, "c"), join(pair.one.path, "a"));
    await until("the move back is seen", () => exists(ours));

    proxy.cut();
    await stillInside(ours, "a cut");
    proxy.hold("notices", true);
    await sleep(3000);
    await stillInside(ours, "silence longer than the lease");
    proxy.hold("notices", false);
    await settled(pair.volume, [pair.two.path]);
    await stillInside(ours, "the return of the subscription");

    const silence = async (path: string): Promise<void> => {
      proxy?.hold("commands", true);
      proxy?.hold("notices", true);
      await assert.rejects(stat(path), { code: "EIO" });
      proxy?.hold("commands", false);
      proxy?.hold("notices", false);
      await until("the server answers", () => exists(join(ours, "tmpfs/nested")));
      await settled(pair.volume, [pair.two.path]);
      await stillInside(ours, "a server that did not answer");
    };
    // A name that did not change, of which the kernel has to ask: only its lifetime is over.
    proxy.hold("notices", true);
    await sleep(3000);
    proxy.hold("notices", false);
    await settled(pair.volume, [pair.two.path]);
    await silence(join(ours, "bound"));
    // A name that went away and came back.
    await stat(ours);
    await rename(theirs, `${theirs}2`);
    await rename(`${theirs}2`, theirs);
    await sleep(200);
    await stat(join(pair.two.path, "a"));
    await silence(join(ours, "bound"));
  } finally {
    proxy?.hold("commands", false);
    proxy?.hold("notices", false);
    await stack.disposeAsync();
  }
});

test("nobody waits for a directory or a file that is busy here, and what changed in it meanwhile is not missed", async () => {
  await using minio = await startMinio();
  await using store = await startProxy(minio.port);
  const bucket = `http://127.0.0.1:${store.port}/busy`;
  await using pair = await mountPair({
    format: [
      ...["--storage", "minio", "--bucket", bucket, "--trash-days", "0"],
      ...["--access-key", MINIO_USER, "--secret-key", MINIO_PASSWORD],
    ],
  });
  // Who has files open: a child of this process would close its copies of them and wait for the store, whose way is here.
  await using they = await startProcess();
  const theirs = (name: string): string => join(pair.one.path, name);
  const ours = (name: string): string => join(pair.two.path, name);
  await mkdir(theirs("busy"));
  await mkdir(theirs("free"));
  await writeFile(theirs("free/name"), "");
  await writeFile(theirs("being-read"), Buffer.alloc(64 * PAGE, 1));
  await writeFile(theirs("cached"), Buffer.alloc(64 * PAGE, 1));
  await until("the files are seen", () => exists(ours("cached")));
  assert.deepEqual(await readdir(ours("busy")), []);
  await stat(ours("free/name"));
  const cached = await open(ours("cached"), "r");
  try {
    await cached.read(Buffer.alloc(64 * PAGE), 0, 64 * PAGE, 0);
    const written = await they.open(ours("written"), O_CREAT | O_WRONLY, 0o644);
    await they.write(written, Buffer.from("not stored yet"));

    store.hold("commands", true);
    // Its data is stored first: the directory stays locked so long.
    let linked = false;
    const linking = link(ours("written"), ours("busy/linked")).then(() => (linked = true));
    let read = false;
    const reading = readFile(ours("being-read")).then(() => (read = true));
    await sleep(300);
    await writeFile(theirs("busy/made"), "");
    await rename(theirs("free/name"), theirs("free/renamed"));
    for (const name of ["being-read", "cached"]) {
      const fd = await they.open(theirs(name), O_RDWR);
      await they.fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 0, 64 * PAGE);
      await they.close(fd);
    }

    await until(
      "another directory's change is seen",
      async () => !(await exists(ours("free/name"))),
    );
    await until("another file's change is seen", async () => {
      const { buffer } = await cached.read(Buffer.alloc(PAGE), 0, PAGE, 0);
      return buffer.every((byte) => byte === 0);
    });
    assert.deepEqual([linked, read], [false, false], "busy all the time");
    store.hold("commands", false);
    await Promise.all([linking, reading]);
    await until("what was made in the busy directory is seen", () => exists(ours("busy/made")));
    await until("what was read meanwhile is read again", async () =>
      (await readFile(ours("being-read"))).every((byte) => byte === 0),
    );
    await they.close(written);
  } finally {
    store.hold("commands", false);
    await cached.close();
  }
});

test("an answer that a notice overtook is used once and kept by nobody", async () => {
  await using stack = new AsyncDisposableStack();
  let proxy: TcpProxy | undefined;
  const pair = stack.use(
    await mountPair({
      secondUrl: async ({ server }) => {
        proxy = stack.use(await startProxy(server.port));
        return `redis://127.0.0.1:${proxy.port}/1`;
      },
    }),
  );
  assert.ok(proxy !== undefined);
  const theirs = (name: string): string => join(pair.one.path, name);
  const ours = (name: string): string => join(pair.two.path, name);
  await mkdir(theirs("d"));
  for (const name of ["attr", "gone", "replaced", "listed"])
    await writeFile(theirs(`d/${name}`), name);
  await stat(ours("d"));

  // Their answers are on their way while the changes are made, which are heard of at once.
  proxy.delay("commands", 500);
  const asked = Promise.allSettled([
    stat(ours("d/attr")),
    stat(ours("d/gone")),
    stat(ours("d/replaced")),
    stat(ours("d/appears")),
    run("ls", ["-l", ours("d")]),
  ]);
  await sleep(100);
  await chmod(theirs("d/attr"), 0o600);
  await unlink(theirs("d/gone"));
  await writeFile(theirs("d/new"), "longer than before");
  await rename(theirs("d/new"), theirs("d/replaced"));
  await writeFile(theirs("d/appears"), "");
  await chmod(theirs("d/listed"), 0o600);
  await asked;
  proxy.delay("commands", 0);

  assert.equal((await stat(ours("d/attr"))).mode & 0o777, 0o600);
  await assert.rejects(stat(ours("d/gone")), { code: "ENOENT" });
  assert.equal((await stat(ours("d/replaced"))).size, 18);
  await stat(ours("d/appears"));
  assert.equal((await stat(ours("d/listed"))).mode & 0o777, 0o600);
});

test("attributes are dropped also when their reader did not run yet", async () => {
  await using stack = new AsyncDisposableStack();
  const pair = stack.use(await mountPair());
  const trips = stack.use(await countRoundTrips(pair.volume.server));
  // On one processor with a busy program, and of less weight: it runs late after it was woken.
  stack.use(startProgram("taskset", ["-c", "1", "python3", "-c", "while True: pass"]));
  const reader = stack.use(await startProcess());
  await run("taskset", ["-cp", "1", `${reader.pid}`]);
  await run("chrt", ["-i", "-p", "0", `${reader.pid}`]);
  for (let round = 0; round < 20; round++) {
    const name = `f${round}`;
    await writeFile(join(pair.one.path, name), "");
    const path = join(pair.two.path, name);
    const asked = trips.next(name);
    const late = reader.stat(path);
    await asked;
    await chmod(join(pair.one.path, name), 0o600);
    await late;
    await until("the change is seen", async () => ((await stat(path)).mode & 0o777) === 0o600);
  }
});

test("a listing read before a change does not bring a removed name back", async () => {
  await using pair = await mountPair({ format: ["--trash-days", "0"] });
  const theirs = join(pair.one.path, "d");
  const ours = join(pair.two.path, "d");
  await mkdir(theirs);
  await using me = await startProcess();
  await me.make_files(theirs, "f", 3000);
  await until("the folder is seen", () => exists(ours));
  const directory = await me.open_directory(ours);
  const first = await me.read_directory(directory, 10);
  const told = new Set(first.map(([name]) => name.toString()));
  const rest = (await readdir(theirs)).filter((name) => !told.has(name));
  for (const name of rest.slice(-100)) await unlink(join(theirs, name));
  await me.read_directory(directory, 3000);
  await me.close_directory(directory);
  for (const name of rest.slice(-100)) {
    assert.equal(await exists(join(ours, name)), false, name);
  }
});

test("pages stay while a file does not change, over its next open, and go when another mount changes it", async () => {
  await using pair = await mountPair();
  const theirs = join(pair.one.path, "f");
  const ours = join(pair.two.path, "f");
  const pages = async (): Promise<number> => {
    const { stdout } = await run("fincore", ["--noheadings", "--raw", "--output", "PAGES", ours]);
    return Number(stdout);
  };
  await writeFile(theirs, Buffer.alloc(100 * PAGE, 1));
  await until("the file is seen", () => exists(ours));
  await readFile(ours);
  assert.equal(await pages(), 100);
  await (await open(ours)).close();
  assert.equal(await pages(), 100, "opened again");
  await chmod(theirs, 0o600);
  await until("the mode is seen", async () => ((await stat(ours)).mode & 0o777) === 0o600);
  await (await open(ours)).close();
  assert.equal(await pages(), 100, "after a change of its mode");
  await writeFile(theirs, Buffer.alloc(100 * PAGE, 2), { flag: "r+" });
  await until("pages are gone", async () => (await pages()) === 0);
  assert.equal((await readFile(ours))[99 * PAGE], 2);
});

test("a listing that the kernel serves itself is given up when another mount changes a name", async () => {
  await using pair = await mountPair({ format: ["--trash-days", "0"] });
  const theirs = join(pair.one.path, "d");
  const ours = join(pair.two.path, "d");
  await mkdir(theirs);
  await using me = await startProcess();
  await me.make_files(theirs, "f", 500);
  await until("the folder is seen", () => exists(ours));
  for (let round = 0; round < 3; round++) assert.equal((await readdir(ours)).length, 500);
  const requests = await requestsOf(pair);
  for (let round = 0; round < 20; round++) await readdir(ours);
  // An open and a close each; other messages are few.
  assert.ok((await requestsOf(pair)) - requests < 60, "the kernel serves it");
  const reader = await me.open_directory(ours);
  assert.equal((await me.read_directory(reader, 1000)).length, 502);
  await unlink(join(theirs, "f1"));
  await writeFile(join(theirs, "new"), "");
  await until("the new listing is seen", async () => {
    const names = await readdir(ours);
    return names.includes("new") && !names.includes("f1");
  });
  await me.rewind_directory(reader);
  const names = (await me.read_directory(reader, 1000)).map(([name]) => name.toString());
  assert.ok(names.includes("new") && !names.includes("f1"), "also by who had it open");
  await me.close_directory(reader);
  await writeFile(join(ours, "own"), "");
  await unlink(join(ours, "f2"));
  const own = await readdir(ours);
  assert.ok(own.includes("own") && !own.includes("f2"));
  assert.equal(new Set(own).size, 500);
});
