import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import {
  F_SETLK,
  F_UNLCK,
  F_WRLCK,
  KEEP_SIZE,
  LOCK_EX,
  O_CREAT,
  O_RDWR,
  O_TMPFILE,
  PUNCH_HOLE,
  RENAME_EXCHANGE,
} from "../posix/support/calls.ts";
import { endProcesses, startProcess } from "../posix/support/process.ts";
import { formatTestVolume, juicefs, mountVolume, type TestVolumeOnDisk } from "../support/mount.ts";
import { makeFolder } from "../support/folder.ts";
import { startRedis } from "../support/redis.ts";
import { until } from "../support/process.ts";

/** What `docs/redis.md` says a Redis user needs is enough for everything, and no more than is used. */

const DOCUMENT = fileURLToPath(new URL("../../docs/redis.md", import.meta.url));
const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const run = promisify(execFile);

after(endProcesses);

/** The rules between the fences of the document: a user for one volume. */
function rules(): string[] {
  const block = /```acl\n([^`]*)```/.exec(readFileSync(DOCUMENT, "utf8"))?.[1];
  assert.ok(block !== undefined, "the document has rules");
  return block.split(/\s+/).filter((word) => word !== "" && word !== "\\");
}

/** What the table below adds for some commands. */
function rulesOfCommands(): string[] {
  const rows = readFileSync(DOCUMENT, "utf8").matchAll(/^\| `\w+` \| `(\+[\w\\|]+)` \|/gm);
  return [...rows].map(([, right = ""]) => right.replace("\\|", "|"));
}

/** What was refused to somebody. */
async function refusals(admin: Redis): Promise<string[]> {
  const log = (await admin.call("ACL", "LOG")) as string[][];
  return log.map((entry) => entry.slice(0, 12).join(" "));
}

async function everyOperation(at: string): Promise<void> {
  const path = (name: string): string => join(at, name);
  await using me = await startProcess();
  await mkdir(path("d/e"), { recursive: true });
  await writeFile(path("f"), randomBytes(200_000));
  await symlink("f", path("sl"));
  await me.link(path("f"), path("d/g"));
  await me.mkfifo(path("fifo"));
  const fd = await me.open(path("f"), O_RDWR);
  for (let round = 0; round < 8; round++) {
    await me.pwrite(fd, randomBytes(3000), round * 20_000);
    await me.fsync(fd);
  }
  await me.fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 4096, 8192);
  await me.fallocate(fd, 0, 190_000, 100_000);
  const copy = await me.open(path("copy"), O_RDWR | O_CREAT, 0o644);
  await me.copy_file_range(fd, copy, 150_000, 0, 0);
  await me.ftruncate(copy, 1000);
  await me.flock(fd, LOCK_EX);
  await me.lock(fd, F_SETLK, F_WRLCK, 0, 10);
  await me.lock(fd, F_SETLK, F_UNLCK, 0, 10);
  await me.setxattr(path("f"), "user.a", Buffer.from("b"));
  await me.getxattr(path("f"), "user.a");
  await me.listxattr(path("f"));
  await me.removexattr(path("f"), "user.a");
  await run("setfacl", ["-m", "u:1234:r", path("f")]);
  await run("getfacl", [path("f")]);
  await run("chattr", ["+i", path("d")]);
  await run("chattr", ["-i", path("d")]);
  const nameless = await me.open(at, O_TMPFILE | O_RDWR, 0o600);
  await me.write(nameless, Buffer.from("x"));
  await me.close(nameless);
  await me.chown(path("f"), 1, 1);
  await me.renameat2(path("fifo"), path("sl"), RENAME_EXCHANGE);
  await me.rename(path("copy"), path("d/copy"));
  await me.unlink(path("d/copy"));
  await me.pread(copy, 10, 0);
  await me.close(copy);
  await me.close(fd);
  await run("ls", ["-lR", at]);
  await readFile(path("f"));
  await stat(path("none")).catch(() => undefined);
  await rm(path("d"), { recursive: true });
}

/** A volume made by the server's own user, and its URL for another one. */
async function volumeFor(
  user: readonly string[],
  format: readonly string[],
): Promise<{ volume: TestVolumeOnDisk; admin: Redis } & AsyncDisposable> {
  const stack = new AsyncDisposableStack();
  const volume = stack.use(await formatTestVolume({ format }));
  const admin = new Redis(volume.server.url(), { protocol: 2 });
  stack.defer(() => {
    admin.disconnect();
  });
  await admin.call("ACL", "SETUSER", ...user);
  const metaUrl = volume.metaUrl.replace("//", "//juicefs:secret@");
  return {
    ...{ volume: { ...volume, metaUrl }, admin },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const FORMAT = ["--enable-acl", "--trash-days", "1", "--capacity", "1G", "--block-size", "64K"];

test("the rights in the document are enough for a mount", async () => {
  await using made = await volumeFor(rules(), FORMAT);
  const { volume, admin } = made;
  {
    await using one = await mountVolume(volume, ["--heartbeat", "1"]);
    await using two = await mountVolume(volume, ["--heartbeat", "1"]);
    await everyOperation(one.path);
    await until("the other mount sees it", () => existsSync(join(two.path, "f")));
    await admin.call("CLIENT", "KILL", "TYPE", "pubsub");
    await writeFile(join(one.path, "missed"), "");
    await until("it reads what it missed", () => existsSync(join(two.path, "missed")));
    await run("rm", ["-r", join(one.path, ".trash")]).catch(() => undefined);
    assert.ok(!/no notices/.test(one.supervisor.output() + two.supervisor.output()));
  }
  // It is asked for what it may be refused: the mount says so in its log.
  const other = (await refusals(admin)).filter((entry) => !entry.includes("object config|get"));
  assert.deepEqual(other, []);
});

test("with those that the document adds for commands they are enough for every command", async () => {
  await using made = await volumeFor([...rules(), ...rulesOfCommands()], FORMAT);
  const { volume, admin } = made;
  const { metaUrl, folder } = volume;
  const other = metaUrl.replace(/1$/, "2");
  await juicefs("format", other, "another", "--bucket", join(folder, "other"));
  {
    await using mount = await mountVolume(volume);
    await everyOperation(mount.path);
    await writeFile(join(mount.path, "kept"), randomBytes(200_000));
    const env = { ...process.env, JUICEFS_RUN: join(folder, "run") };
    for (const command of ["info", "summary", "warmup", "compact", "rmr"]) {
      await run(process.execPath, [MAIN, command, join(mount.path, "kept")], { env });
    }
  }
  await juicefs("config", metaUrl, "--capacity", "2G", "--yes");
  await juicefs("status", metaUrl);
  await juicefs("gc", metaUrl, "--compact");
  await juicefs("gc", metaUrl, "--delete");
  await juicefs("fsck", metaUrl);
  await juicefs("fsck", metaUrl, "--path", "/", "--repair", "--recursive");
  const { Setting } = JSON.parse((await juicefs("status", other)).stdout) as {
    Setting: { UUID: string };
  };
  await juicefs("destroy", other, Setting.UUID, "--yes");
  assert.deepEqual(await refusals(admin), []);
});

test("a user without the channel mounts, says so once, and sees what others do when a second is over", async () => {
  await using made = await volumeFor([...rules(), "resetchannels"], FORMAT);
  const { volume } = made;
  await using one = await mountVolume(volume);
  await using two = await mountVolume(volume);
  await everyOperation(one.path);
  await until("what the other did is seen", () => existsSync(join(two.path, "f")));
  await writeFile(join(two.path, "f"), "by the other");
  await until("what is in it is seen", async () => {
    return (await readFile(join(one.path, "f"), "utf8")) === "by the other";
  });
  await rm(join(one.path, "f"));
  await until("its removal is seen", () => !existsSync(join(two.path, "f")));
  const said = one.supervisor.output().split("\n");
  assert.equal(said.filter((line) => line.includes("no notices on this Redis")).length, 1);
});

test("every command in the document is used, and every command of a script is in it", () => {
  const allowed = new Set(
    [...rules(), ...rulesOfCommands()]
      .filter((rule) => rule.startsWith("+"))
      .map((rule) => rule.slice(1).split("|")[0] ?? ""),
  );
  const folder = fileURLToPath(new URL("../../src/meta/redis/", import.meta.url));
  const texts = (of: string, ending: string): string =>
    readdirSync(of)
      .filter((name) => name.endsWith(ending))
      .map((name) => readFileSync(join(of, name), "utf8"))
      .join("\n");
  const lua = texts(join(folder, "lua"), ".lua");
  const scripts = new Set(
    [...lua.matchAll(/call\('([A-Z]+)'/g)].map(([, name = ""]) => name.toLowerCase()),
  );
  assert.deepEqual(
    [...scripts].filter((name) => !allowed.has(name)),
    [],
  );
  const code = ["", "..", "../../volume"].map((of) => texts(join(folder, of), ".ts")).join("\n");
  const unused = [...allowed].filter((name) => {
    const used = new RegExp(`\\.${name}(Buffer)?\\(|"${name}"`, "i");
    // The library asks for it when it connects.
    return name !== "info" && !scripts.has(name) && !used.test(code);
  });
  assert.deepEqual(unused, []);
  const keys = rules()
    .filter((rule) => rule.includes("~"))
    .map((rule) => rule.replace(/^.*~|\[0-9\]\*$/g, ""));
  const named = (key: string): boolean => new RegExp(`["'\`\\s]${key}(\\b|\\$)`).test(lua + code);
  const unnamed = keys.filter((key) => !named(key));
  assert.deepEqual(unnamed, []);
});

test("a part of a Redis Cluster is refused by name, and nothing is written there", async () => {
  await using folder = await makeFolder();
  const nodes = ["--cluster-enabled", "yes", "--cluster-config-file", join(folder.path, "nodes")];
  await using server = await startRedis({ args: nodes });
  for (const database of [0, 1]) {
    await assert.rejects(
      juicefs("format", server.url(database), "test-volume", "--bucket", folder.path),
      /Cannot reach Redis at redis:.*: it belongs to a Redis Cluster/,
    );
  }
});

test("a user who lacks a right is told which, and where they are listed", async () => {
  await using made = await volumeFor(rules(), FORMAT);
  const another = made.volume.metaUrl.replace(/1$/, "2");
  await assert.rejects(
    juicefs("format", another, "another", "--bucket", made.volume.folder),
    /docs\/redis.md lists the rights that are needed/,
  );
});
