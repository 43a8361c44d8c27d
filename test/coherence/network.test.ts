import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { chmod, mkdir, readFile, rename, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { makeFolder } from "../support/folder.ts";
import { formatTestVolume, mountVolume } from "../support/mount.ts";
import { settled } from "../support/pair.ts";
import { freePort, until } from "../support/process.ts";
import { startRedis } from "../support/redis.ts";

/** A host whose network loses everything, and a Redis that starts anew: what is stale is served no longer than the lease. */

const run = promisify(execFile);
/** Longer than the lease, by what a busy machine needs. */
const AFTER_LEASE_MS = 3000;

interface Host extends AsyncDisposable {
  /** Runs a command as on that host. */
  readonly enter: readonly string[];
  /** This machine, as that host reaches it. */
  readonly address: string;
  /** Packets get lost, both ways; nobody is told. */
  lose(lost: boolean): Promise<void>;
}

/** A network namespace behind a link of its own. */
async function makeHost(): Promise<Host> {
  // A port that is free is a number that nobody else here has.
  const number = await freePort();
  const [name, link] = [`jfs-${number}`, `jfs${number}`];
  const net = `10.${200 + (number % 50)}.${(number >> 8) & 255}`;
  const ip = (...args: string[]): Promise<unknown> => run("ip", args);
  const inside = (...args: string[]): Promise<unknown> => ip("-n", name, ...args);
  const host: Host = {
    enter: ["nsenter", `--net=/run/netns/${name}`],
    address: `${net}.1`,
    async lose(lost) {
      await ip("link", "set", link, lost ? "down" : "up");
    },
    async [Symbol.asyncDispose]() {
      await ip("link", "del", link).catch(() => undefined);
      await ip("netns", "del", name);
    },
  };
  await ip("netns", "add", name);
  try {
    await ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name);
    await ip("addr", "add", `${net}.1/24`, "dev", link);
    await ip("link", "set", link, "up");
    await inside("addr", "add", `${net}.2/24`, "dev", "eth0");
    await inside("link", "set", "eth0", "up");
    await inside("link", "set", "lo", "up");
    return host;
  } catch (error) {
    await host[Symbol.asyncDispose]();
    throw error;
  }
}

/** What a look at something gives: a state, or that it fails because nobody answers. */
async function look<T>(work: Promise<T>): Promise<T | "absent" | "failed"> {
  return work.catch((error: unknown) => {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return "absent";
    assert.match(code, /^(EIO|EINTR)$/);
    return "failed";
  });
}

/** Four files as somebody sees them: mode, presence, a replacement, a name that is new. */
async function seen(at: string): Promise<string[]> {
  const each = await Promise.all([
    look(stat(join(at, "mode")).then(({ mode }) => (mode & 0o777).toString(8))),
    look(stat(join(at, "gone")).then(() => "present")),
    look(readFile(join(at, "replaced"), "utf8")),
    look(stat(join(at, "new")).then(() => "present")),
  ]);
  return each;
}

const OLD = ["644", "present", "old", "absent"];
const NEW = ["600", "absent", "new", "present"];

async function makeOld(at: string): Promise<void> {
  await mkdir(at);
  await writeFile(join(at, "mode"), "");
  await writeFile(join(at, "gone"), "");
  await writeFile(join(at, "replaced"), "old");
}

async function makeNew(at: string): Promise<void> {
  await chmod(join(at, "mode"), 0o600);
  await unlink(join(at, "gone"));
  await writeFile(join(at, "other"), "new");
  await rename(join(at, "other"), join(at, "replaced"));
  await writeFile(join(at, "new"), "");
}

const show = (states: readonly string[]): string => states.join(", ");

test("a host whose packets are lost serves nothing stale after the lease, keeps what is mounted there, and goes on later", async () => {
  await using host = await makeHost();
  await using redis = await startRedis({
    args: ["--bind", "127.0.0.1", host.address, "--protected-mode", "no"],
  });
  await using volume = await formatTestVolume({ server: redis, format: ["--trash-days", "0"] });
  const away = { ...volume, metaUrl: `redis://${host.address}:${redis.port}/1` };
  const cache = (name: string): string[] => ["--cache-dir", join(volume.folder, "cache", name)];
  await using one = await mountVolume(volume, cache("one"));
  // An operation waits 3 s for the server.
  const patience = ["--io-retries", "1"];
  await using two = await mountVolume(away, [...cache("two"), ...patience], {}, host.enter);
  await using stack = new AsyncDisposableStack();
  const [theirs, ours] = [join(one.path, "d"), join(two.path, "d")];
  await makeOld(theirs);
  await settled(volume, [one.path, two.path]);
  await until("all is seen", async () => show(await seen(ours)) === show(OLD));
  const nested = join(two.path, "nested");
  await mkdir(nested);
  await run("mount", ["-t", "tmpfs", "none", nested]);
  stack.defer(async () => {
    await run("umount", ["-l", nested]);
  });
  await writeFile(join(nested, "file"), "inside");

  await host.lose(true);
  stack.defer(() => host.lose(false));
  await makeNew(theirs);
  await sleep(AFTER_LEASE_MS);
  for (let round = 0; round < 3; round++) {
    for (const [at, state] of (await seen(ours)).entries()) {
      assert.ok(state === "failed" || state === NEW[at], `${state}, which is old`);
    }
  }
  const isThere = (): boolean =>
    readFileSync("/proc/self/mountinfo", "utf8").includes(` ${nested} `);
  // Who asks for a path through the volume hears that it failed; what is mounted stays.
  await look(stat(join(nested, "file")));
  assert.ok(isThere(), "what is mounted inside");

  await host.lose(false);
  await until("the host goes on", async () => show(await seen(ours)) === show(NEW), 60_000);
  await settled(volume, [two.path]);
  assert.ok(isThere(), "what is mounted inside, afterwards");
  assert.equal(await readFile(join(nested, "file"), "utf8"), "inside");
  await chmod(join(theirs, "mode"), 0o640);
  await until("notices come again", async () => show(await seen(ours)).startsWith("640"));
});

test("a Redis that starts anew is followed: what changed around it is seen, and notices come again", async () => {
  await using disks = await makeFolder();
  const lasting = ["--dir", disks.path, "--appendonly", "yes", "--appendfsync", "always"];
  await using redis = await startRedis({ args: lasting });
  await using stack = new AsyncDisposableStack();
  const volume = stack.use(
    await formatTestVolume({ server: redis, format: ["--trash-days", "0"] }),
  );
  const cache = (name: string): string[] => ["--cache-dir", join(volume.folder, "cache", name)];
  const mounts = [
    await mountVolume(volume, cache("one")),
    await mountVolume(volume, cache("two")),
  ] as const;
  for (const mount of mounts) stack.use(mount);
  const [theirs, ours] = [join(mounts[0].path, "d"), join(mounts[1].path, "d")];
  await makeOld(theirs);
  await settled(volume, [mounts[0].path, mounts[1].path]);
  await until("all is seen", async () => show(await seen(ours)) === show(OLD));

  await redis.stop("SIGKILL");
  const again = stack.use(await startRedis({ args: lasting, port: redis.port }));
  await makeNew(theirs);
  await until("what changed is seen", async () => show(await seen(ours)) === show(NEW));
  await settled({ server: again }, [mounts[0].path, mounts[1].path]);
  for (const mode of [0o640, 0o604, 0o600]) {
    await chmod(join(theirs, "mode"), mode);
    await until("notices come again", async () => {
      return show(await seen(ours)).startsWith(mode.toString(8));
    });
  }
  // The mounts end before the server that they were made with.
  for (const mount of mounts) await mount.unmount();
});
