import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import {
  appendFile,
  mkdir,
  open,
  opendir,
  readdir,
  readFile,
  stat,
  unlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { startProgram, until } from "../support/process.ts";
import { kill } from "./kill.ts";
import { writeDuring } from "./write-during.ts";
import { makeFolder } from "../support/folder.ts";
import { onMinio, startMinio } from "../support/minio.ts";
import {
  askTestMount,
  formatTestVolume,
  juicefs,
  mountVolume,
  officialJuicefs,
} from "../support/mount.ts";

/** A mount outlives whatever of its processes is killed. */

const KILLS = Number(process.env["JUICEFS_TEST_KILLS"] ?? 5);

/** Settles when something was appended since. */
async function written(path: string): Promise<void> {
  // It may not have begun.
  const size = async (): Promise<number> => (existsSync(path) ? (await stat(path)).size : 0);
  const before = await size();
  await until("the writer goes on", async () => (await size()) > before);
}

function children(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1");
  return text.trim().split(" ").map(Number);
}

interface Configuration {
  readonly name: string;
  /** On MinIO rather than in a folder. */
  readonly minio?: boolean;
  readonly format?: readonly string[];
  readonly mount?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** What was read and could not be noted down any more is refused, for nobody would ever answer it. */
  readonly refuses?: boolean;
}

const keyFolder = await makeFolder();
const KEY = join(keyFolder.path, "key.pem");
execFileSync("openssl", ["genrsa", "-out", KEY, "2048"], { stdio: "ignore" });
after(() => keyFolder[Symbol.asyncDispose]());

const CONFIGURATIONS: readonly Configuration[] = [
  { name: "requests are sent again" },
  { name: "requests are noted down", env: { JUICEFS_FUSE_REFUSE: "HAS_RESEND" }, refuses: true },
  { name: "MinIO, write-back", minio: true, mount: ["--writeback"] },
  {
    name: "MinIO, encrypted zstd, a cache of 10 MiB",
    ...{ minio: true, mount: ["--cache-size", "10"] },
    format: ["--compress", "zstd", "--encrypt-rsa-key", KEY, "--block-size", "256K"],
  },
  {
    name: "lz4, hashed prefixes, one thread, no trash",
    format: ["--compress", "lz4", "--hash-prefix", "--trash-days", "0"],
    mount: ["--io-threads", "0"],
  },
];

for (const configuration of CONFIGURATIONS) {
  const { name, minio = false, format = [], mount: options = [], env = {} } = configuration;
  test(`the serving process is killed again and again, nobody notices but by a pause: ${name}`, async (t) => {
    await using store = minio ? await startMinio() : undefined;
    const place = store === undefined ? [] : onMinio(store);
    await using volume = await formatTestVolume({ format: [...place, ...format] });
    const cache = store === undefined ? [] : ["--cache-dir", join(volume.folder, "cache")];
    await using mount = await mountVolume(volume, [...cache, ...options], env);
    const where = { path: mount.path, folder: volume.folder };
    const report = await writeDuring(join(mount.path, "work"), async () => {
      for (let count = 0; count < KILLS; count++) {
        await kill(where, "serverPid");
        await written(join(mount.path, "work/appended"));
        await sleep(Math.random() * 300);
      }
    });
    t.diagnostic(`${report.steps} steps, longest pause ${report.longestMs} ms`);
    assert.deepEqual(report.wrong, []);
    assert.ok(report.refused <= (configuration.refuses === true ? KILLS : 0), `${report.refused}`);
    assert.equal((await askTestMount(where)).restarts, KILLS);
    assert.deepEqual(await readdir(join(mount.path, "work")), ["appended", "pieces", "written"]);
    await mount.unmount();
    const fsck = await officialJuicefs("fsck", volume.metaUrl);
    assert.doesNotMatch(fsck.stderr, /ERROR|FATAL/);
    const gc = await officialJuicefs("gc", volume.metaUrl);
    assert.match(gc.stderr, / 0 leaked/);
    await juicefs("fsck", volume.metaUrl);
    const { stdout } = await juicefs("gc", volume.metaUrl);
    t.diagnostic(stdout.replaceAll(/\s+/g, " "));
  });
}

test("a mount whose serving process died keeps a successor ready, the next death makes it serve", async () => {
  await using volume = await formatTestVolume();
  const mount = await mountVolume(volume);
  const where = { path: mount.path, folder: volume.folder };
  const { supervisorPid, serverPid: first } = await askTestMount(where);
  assert.deepEqual(children(supervisorPid), [first]);
  const { serverPid: second } = await kill(where, "serverPid");
  await until("one that waits", () => children(supervisorPid).length === 2);
  const waiting = children(supervisorPid).find((pid) => pid !== second);
  assert.equal((await kill(where, "serverPid")).serverPid, waiting);
  await writeFile(join(mount.path, "after"), "after");
  await until("another one that waits", () => children(supervisorPid).length === 2);
  const last = children(supervisorPid);
  await mount.unmount();
  await until("the end of both", () => last.every((pid) => !existsSync(`/proc/${pid}`)));
});

test("supervisor and serving process die in turn, the mount goes on", async () => {
  await using volume = await formatTestVolume();
  const mount = await mountVolume(volume);
  const where = { path: mount.path, folder: volume.folder };
  const report = await writeDuring(join(mount.path, "work"), async () => {
    await kill(where, "supervisorPid");
    await kill(where, "serverPid");
    await kill(where, "supervisorPid");
    await kill(where, "serverPid");
  });
  assert.deepEqual([report.wrong, report.refused], [[], 0]);
  const { supervisorPid, serverPid } = await askTestMount(where);
  await mount.unmount();
  // Nobody but the mount itself started these: they are to go with it.
  await until("the end of both processes", () =>
    [supervisorPid, serverPid].every((pid) => !existsSync(`/proc/${pid}`)),
  );
  assert.deepEqual(await readdir(join(volume.folder, "run")), []);
});

test("a serving process that hangs is replaced", async () => {
  await using volume = await formatTestVolume();
  await using mount = await mountVolume(volume);
  const where = { path: mount.path, folder: volume.folder };
  const report = await writeDuring(join(mount.path, "work"), async () => {
    const before = await askTestMount(where);
    process.kill(before.serverPid, "SIGSTOP");
    await until(
      "a successor",
      async () => {
        const now = await askTestMount(where);
        return now.serverPid !== before.serverPid && now.state === "serving";
      },
      30_000,
    );
  });
  assert.deepEqual([report.wrong, report.refused], [[], 0]);
  assert.match((await askTestMount(where)).lastDeath ?? "", /did not answer/);
});

test("a mount is handed over to another serving program, which an application does not notice", async () => {
  await using volume = await formatTestVolume();
  await using mount = await mountVolume(volume);
  const where = { path: mount.path, folder: volume.folder };
  const program = fileURLToPath(new URL("../../src/mount/serve.ts", import.meta.url));
  const report = await writeDuring(join(mount.path, "work"), async () => {
    for (let count = 0; count < 3; count++) {
      const before = await askTestMount(where);
      const after = await askTestMount(where, { ask: "replace", program });
      assert.notEqual(after.serverPid, before.serverPid);
      assert.equal(after.restarts, 0);
    }
  });
  assert.deepEqual([report.wrong, report.refused], [[], 0]);
});

test("a program that cannot take over leaves the old one serving", async () => {
  await using volume = await formatTestVolume();
  await using mount = await mountVolume(volume);
  const where = { path: mount.path, folder: volume.folder };
  const broken = join(volume.folder, "broken.ts");
  await writeFile(broken, "process.exit(3);\n");
  const report = await writeDuring(join(mount.path, "work"), async () => {
    const before = await askTestMount(where);
    await assert.rejects(askTestMount(where, { ask: "replace", program: broken }), /exit status 3/);
    assert.equal((await askTestMount(where)).serverPid, before.serverPid);
  });
  assert.deepEqual([report.wrong, report.refused], [[], 0]);
});

test("what is open, locked or without a name stays so when the serving process is killed", async () => {
  await using volume = await formatTestVolume({ format: ["--trash-days", "0"] });
  await using mount = await mountVolume(volume);
  await using other = await mountVolume(volume);
  const where = { path: mount.path, folder: volume.folder };
  const path = join(mount.path, "file");
  await writeFile(path, "contents");
  await using lock = startProgram("python3", ["-c", HOLDER, path]);
  assert.ok(lock.child.pid);
  await using file = await open(path);
  await until("the lock", async () => (await flockStatus(join(other.path, "file"))) === 1);
  await unlink(path);
  await kill(where, "serverPid");
  assert.equal(await file.readFile("utf8"), "contents");
  assert.equal((await file.stat()).nlink, 0);
  await writeFile(path, "another");
  assert.equal(await readFile(path, "utf8"), "another");
});

test("a lock of an open file goes with its last descriptor, also after the serving process was killed", async () => {
  await using volume = await formatTestVolume();
  await using mount = await mountVolume(volume);
  const path = join(mount.path, "file");
  await writeFile(path, "contents");
  const lock = startProgram("python3", ["-c", OPEN_FILE_LOCK, path, "hold"]);
  const taken = async (): Promise<number> => {
    const attempt = startProgram("python3", ["-c", OPEN_FILE_LOCK, path]);
    const [status] = (await once(attempt.child, "exit")) as [number];
    return status;
  };
  await until("the lock", async () => (await taken()) !== 0);
  await kill({ path: mount.path, folder: volume.folder }, "serverPid");
  assert.notEqual(await taken(), 0);
  await lock.stop("SIGKILL");
  await until("the end of the lock", async () => (await taken()) === 0);
});

test("who uses a volume that was unmounted lazily does so still when the serving process is killed", async () => {
  await using volume = await formatTestVolume();
  await using mount = await mountVolume(volume);
  const where = { path: mount.path, folder: volume.folder };
  await writeFile(join(mount.path, "file"), "contents");
  const file = await open(join(mount.path, "file"), "r+");
  await file.sync();
  execFileSync("umount", ["-l", mount.path]);
  const before = await askTestMount(where);
  process.kill(before.serverPid, "SIGKILL");
  await until("another process", async () => {
    const { serverPid } = await askTestMount(where);
    return serverPid !== before.serverPid;
  });
  assert.equal(await file.readFile("utf8"), "contents");
  await file.write("more", 0);
  await file.sync();
  await file.close();
  // With its last user it ends.
  await mount.unmount();
});

test("who reads a directory meets each name once when the serving process is killed meanwhile, also of those that go as they are met", async () => {
  await using volume = await formatTestVolume();
  await using mount = await mountVolume(volume);
  const names = Array.from({ length: 3000 }, (_, at) => `a file with the number ${at}`);
  for (const removes of [false, true]) {
    const folder = join(mount.path, `removes ${removes}`);
    await mkdir(folder);
    await Promise.all(names.map((name) => writeFile(join(folder, name), "")));
    const met: string[] = [];
    for await (const { name } of await opendir(folder)) {
      met.push(name);
      if (removes) await unlink(join(folder, name));
      if (met.length === 1500) {
        await kill({ path: mount.path, folder: volume.folder }, "serverPid");
      }
    }
    assert.deepEqual(met.toSorted(), names.toSorted());
  }
});

/** Takes a lock of a whole file that belongs to the open file: F_OFD_SETLKW and holds it, or F_OFD_SETLK. */
const OPEN_FILE_LOCK =
  "import fcntl, struct, sys, time; f = open(sys.argv[1], 'r+'); " +
  "fcntl.fcntl(f, 38 if sys.argv[2:] else 37, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0)); time.sleep(60 if sys.argv[2:] else 0)";

/** Holds a lock until it is ended. */
const HOLDER =
  "import fcntl, sys, time; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); time.sleep(60)";

/** 1 where somebody holds the lock. */
async function flockStatus(path: string): Promise<number> {
  const attempt = startProgram("flock", ["-n", path, "true"]);
  const [status] = (await once(attempt.child, "exit")) as [number];
  return status;
}

test("a volume that was unmounted ends although its server is gone, where everything is stored", async () => {
  await using volume = await formatTestVolume();
  const mount = await mountVolume(volume);
  await writeFile(join(mount.path, "file"), "stored");
  await volume.server.stop("SIGKILL");
  await mount.unmount(90_000);
  assert.deepEqual(await readdir(join(volume.folder, "run")), []);
});

test("who waits is told that it failed when the serving process dies while its server does not answer, and the mount goes on later", async () => {
  await using volume = await formatTestVolume();
  await using mount = await mountVolume(volume, ["--io-retries", "1"]);
  const where = { path: mount.path, folder: volume.folder };
  const path = join(mount.path, "file");
  await writeFile(path, "contents");
  const { serverPid } = await askTestMount(where);
  process.kill(volume.server.pid, "SIGSTOP");
  try {
    process.kill(serverPid, "SIGKILL");
    await assert.rejects(stat(path), { code: /^(EIO|ENOMEM)$/ });
    await assert.rejects(appendFile(path, " and more"));
  } finally {
    process.kill(volume.server.pid, "SIGCONT");
  }
  await until("it is served again", async () => (await askTestMount(where)).state === "serving");
  assert.equal(await readFile(path, "utf8"), "contents");
  await appendFile(path, " and more");
  assert.equal(await readFile(path, "utf8"), "contents and more");
});
