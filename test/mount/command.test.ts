import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readlinkSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { askMount } from "../../src/mount/control.ts";
import { resolveMountpoint } from "../../src/mount/mountpoint.ts";
import { makeFolder } from "../support/folder.ts";
import { formatTestVolume, juicefs } from "../support/mount.ts";
import { until } from "../support/process.ts";

/** `mount -d` and `umount` as commands: what they leave behind, and which mountpoints they know. */

const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const run = promisify(execFile);

/** Where the process runs that looks after a mount. */
async function supervisorFolder(mountpoint: string): Promise<string> {
  const status = await askMount(mountpoint, { ask: "status" }, { limitMs: 2000 });
  return readlinkSync(`/proc/${status?.supervisorPid}/cwd`);
}

test("a mountpoint is found by way of symbolic links, too", async () => {
  await using volume = await formatTestVolume();
  const real = join(volume.folder, "a folder");
  const link = join(volume.folder, "link");
  mkdirSync(real);
  symlinkSync("a folder", link);
  const options = ["--log", join(volume.folder, "logs/mount.log"), "--cache-dir", "memory"];
  await juicefs("mount", "-d", volume.metaUrl, link, ...options);
  await assert.rejects(
    juicefs("mount", "-d", volume.metaUrl.replace(/\d$/, "9"), real, ...options),
    /no volume/,
  );
  assert.match(readFileSync("/proc/mounts", "utf8"), new RegExp(`${volume.folder}/a.040folder`));
  await juicefs("umount", link);
  assert.doesNotMatch(readFileSync("/proc/mounts", "utf8"), new RegExp(volume.folder));
});

test("symbolic links are followed as far as they lead", async () => {
  await using folder = await makeFolder();
  symlinkSync("loop", join(folder.path, "loop"));
  symlinkSync("missing/below", join(folder.path, "dangling"));
  assert.equal(
    resolveMountpoint(join(folder.path, "dangling")),
    join(folder.path, "missing/below"),
  );
  assert.equal(resolveMountpoint(`${folder.path}/./x/`), join(folder.path, "x"));
  assert.equal(resolveMountpoint(join(folder.path, "loop")), join(folder.path, "loop"));
  assert.throws(() => resolveMountpoint(""), /mountpoint "": expected the path/);
});

test("a mount that fails leaves no folder behind, but what was there", async () => {
  await using volume = await formatTestVolume();
  const there = join(volume.folder, "there");
  mkdirSync(there);
  const log = ["--log", join(volume.folder, "mount.log")];
  const attempts: [string[], RegExp][] = [
    [["--subdir", "none", "--read-only"], /Cannot show subdir "none"/],
    [["-o", "noatime,bogus"], /the kernel refuses -o "noatime,bogus"/],
    [["--log", "/proc/none/mount.log"], /Cannot open the log "\/proc\/none\/mount.log" \(ENOENT\)/],
  ];
  for (const [args, expected] of attempts) {
    for (const path of [join(there, "new/deep"), there]) {
      await assert.rejects(juicefs("mount", "-d", volume.metaUrl, path, ...log, ...args), expected);
    }
    assert.ok(!existsSync(join(there, "new")), args.join(" "));
    assert.ok(existsSync(there));
  }
  await assert.rejects(
    juicefs("mount", "-d", volume.metaUrl, there, "--log", join(there, "mount.log")),
    /Cannot mount on "[^"]+": the log "[^"]+" would lie there/,
  );
  assert.ok(!existsSync(join(there, "mount.log")));
  await assert.rejects(
    juicefs("mount", volume.metaUrl, "/proc/none"),
    /Cannot mount on "\/proc\/none": the folder is missing and cannot be made \(ENOENT\)/,
  );
});

test("a mount in the background keeps no folder busy, and finds what is named from there", async () => {
  await using volume = await formatTestVolume();
  const path = join(volume.folder, "mnt");
  const args = ["-d", volume.metaUrl, "mnt", "--log", "sub/mount.log", "--cache-dir", "cache"];
  await run(process.execPath, [MAIN, "mount", ...args], { cwd: volume.folder });
  try {
    assert.equal(await supervisorFolder(path), "/");
    assert.ok(existsSync(join(volume.folder, "sub/mount.log")));
    await until("the cache folder", () => existsSync(join(volume.folder, "cache")));
  } finally {
    await juicefs("umount", path);
  }
});

test(
  "a cache folder that cannot be made does not keep a mount from ending",
  { timeout: 60_000 },
  async () => {
    await using volume = await formatTestVolume();
    const path = join(volume.folder, "mnt");
    const log = join(volume.folder, "mount.log");
    await juicefs("mount", "-d", volume.metaUrl, path, "--cache-dir", "/proc/none", "--log", log);
    await juicefs("umount", path);
  },
);

test("who may not mount is told so", async () => {
  await using volume = await formatTestVolume();
  const nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups", process.execPath, MAIN];
  const mnt = join(volume.folder, "mnt");
  await assert.rejects(
    run("setpriv", [...nobody, "mount", "-d", volume.metaUrl, mnt]),
    /Cannot mount as user 65534: run as root/,
  );
  await juicefs("mount", "-d", volume.metaUrl, mnt, "--log", join(volume.folder, "mount.log"));
  try {
    await assert.rejects(
      run("setpriv", [...nobody, "umount", mnt]),
      /Cannot ask the mount on "[^"]+": run as root/,
    );
  } finally {
    await juicefs("umount", mnt);
  }
});
