import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { open, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { startFaultyProxy, type Fault } from "../support/faulty-proxy.ts";
import { makeFolder } from "../support/folder.ts";
import { onMinio, startMinio } from "../support/minio.ts";
import { formatTestVolume, juicefs, mountVolume, officialJuicefs } from "../support/mount.ts";
import { startProgram, until } from "../support/process.ts";
import { startRedis } from "../support/redis.ts";
import { writeDuring } from "./write-during.ts";

/** What a mount needs goes away under a writer and comes back: calls wait, and each is executed once. */

/** Every few requests meet one of these. */
const FAULTS: readonly Fault[] = [
  { kind: "status", status: 500 },
  { kind: "cut", bytes: 10 },
  { kind: "lost" },
  { kind: "status", status: 503 },
  { kind: "reset" },
  { kind: "slow", ms: 300 },
  { kind: "flip", at: 5 },
];

for (const [name, options] of [
  ["straight to the store", []],
  ["write-back, a small cache", ["--writeback", "--cache-size", "5"]],
] as const) {
  test(`Redis and MinIO are killed, stopped and disturbed while files are written: ${name}`, async (t) => {
    await using disks = await makeFolder();
    const lasting = ["--dir", disks.path, "--appendonly", "yes", "--appendfsync", "always"];
    const folder = join(disks.path, "minio");
    await using store = await startMinio({ folder });
    await using proxy = await startFaultyProxy(store.endpoint);
    await using redis = await startRedis({ args: lasting });
    await using volume = await formatTestVolume({ server: redis, format: onMinio(store) });
    await using mount = await mountVolume(volume, [
      ...["--bucket", `${proxy.endpoint}/data`, "--cache-dir", join(volume.folder, "cache")],
      ...options,
    ]);
    const work = join(mount.path, "work");
    const goesOn = async (): Promise<void> => {
      const { size } = await stat(join(work, "appended"));
      await until(
        "the writer goes on",
        async () => (await stat(join(work, "appended"))).size > size,
        60_000,
      );
    };
    const report = await writeDuring(work, async () => {
      await until("the writer begins", () =>
        stat(join(work, "appended")).then(
          ({ size }) => size > 0,
          () => false,
        ),
      );
      let count = 0;
      proxy.plan = () => (++count % 4 === 0 ? FAULTS[(count / 4) % FAULTS.length] : undefined);
      await goesOn();
      await sleep(2000);
      proxy.plan = () => undefined;

      await redis.stop("SIGKILL");
      await sleep(300);
      const secondRedis = await startRedis({ args: lasting, port: redis.port });
      t.after(() => secondRedis[Symbol.asyncDispose]());
      await goesOn();

      await store.stop("SIGKILL");
      await sleep(300);
      const secondStore = await startMinio({ folder, port: store.port });
      t.after(() => secondStore[Symbol.asyncDispose]());
      await goesOn();

      process.kill(secondRedis.pid, "SIGSTOP");
      await sleep(3000);
      process.kill(secondRedis.pid, "SIGCONT");
      await goesOn();
    });
    t.diagnostic(`${report.steps} steps, longest pause ${report.longestMs} ms`);
    assert.deepEqual([report.wrong, report.refused], [[], 0]);
    await mount.unmount();
    await juicefs("fsck", volume.metaUrl);
    const fsck = await officialJuicefs("fsck", volume.metaUrl);
    assert.doesNotMatch(fsck.stderr, /<(ERROR|FATAL)>/);
    const gc = await officialJuicefs("gc", volume.metaUrl);
    assert.match(gc.stdout + gc.stderr, / 0 leaked \(0 bytes\)/);
  });
}

/** Takes both kinds of lock and holds them until it is ended. */
const HOLDER =
  "import fcntl, sys, time; f, g = (open(p, 'r+') for p in sys.argv[1:]); " +
  "fcntl.flock(f, fcntl.LOCK_EX); fcntl.lockf(g, fcntl.LOCK_EX); time.sleep(300)";
/** Ends with 0 where neither is held. */
const TRIER = HOLDER.replaceAll("LOCK_EX", "LOCK_EX | fcntl.LOCK_NB").replace("300", "0");

test("locks whose holder ended and a file without a name that was closed while Redis was away are given up when it is back", async (t) => {
  await using disks = await makeFolder();
  const lasting = ["--dir", disks.path, "--appendonly", "yes", "--appendfsync", "always"];
  await using redis = await startRedis({ args: lasting });
  await using volume = await formatTestVolume({ server: redis, format: ["--trash-days", "0"] });
  await using mount = await mountVolume(volume, ["--io-retries", "1"]);
  await using other = await mountVolume(volume);
  const files = ["whole", "ranges"];
  for (const name of [...files, "nameless", "closed"])
    await writeFile(join(mount.path, name), "contents");
  const paths = files.map((name) => join(mount.path, name));
  await using holder = startProgram("python3", ["-c", HOLDER, ...paths]);
  const taken = async (): Promise<boolean> => {
    const others = files.map((name) => join(other.path, name));
    const trier = startProgram("python3", ["-c", TRIER, ...others]);
    const [status] = (await once(trier.child, "exit")) as [number];
    return status !== 0;
  };
  await until("the locks", taken);
  const nameless = await open(join(mount.path, "nameless"));
  for (const name of ["nameless", "closed"]) await unlink(join(mount.path, name));

  await redis.stop("SIGKILL");
  const ended = holder.stop("SIGKILL");
  await nameless.close();
  await ended;
  // As long as a change is tried, and the next one behind it.
  await sleep(9000);
  const second = await startRedis({ args: lasting, port: redis.port });
  t.after(() => second[Symbol.asyncDispose]());
  await until("the end of the locks", async () => !(await taken()), 30_000);
  const { stdout } = await promisify(execFile)("redis-cli", [
    ...["-p", String(redis.port), "-n", "1", "--scan", "--pattern", "session?"],
  ]);
  assert.equal(stdout.trim(), "");
});
