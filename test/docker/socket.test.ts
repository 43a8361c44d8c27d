import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { startDriver, type TestDriver } from "../support/driver.ts";
import { startEngine, unused, volumeStatus, type TestEngine } from "../support/engine.ts";
import { until } from "../support/process.ts";

const MOUNT_PROGRAMS = fileURLToPath(new URL("../../src/mount/", import.meta.url));

/** The driver as a program beside the engine, as its systemd units run it. */

let engine: TestEngine;
let driver: TestDriver;
before(async () => {
  engine = await startEngine();
  driver = await startDriver({ JUICEFS_GRACE: "2s" }, engine);
});
after(async () => {
  await engine[Symbol.asyncDispose]();
  await driver[Symbol.asyncDispose]();
});

async function create(name: string, ...options: string[]): Promise<void> {
  await engine.docker("volume", "create", "--driver", "juicefs", ...options, name);
}

test("two containers share a volume, and its files are there after both are gone", async () => {
  await create("shared");
  await engine.container("one", ["-v", "shared:/data"]);
  await engine.container("two", ["-v", "shared:/data"]);
  await engine.docker("exec", "one", "sh", "-c", "echo from one > /data/a");
  await engine.docker("exec", "two", "sh", "-c", "cat /data/a && echo from two >> /data/a");
  assert.equal(await engine.docker("exec", "one", "cat", "/data/a"), "from one\nfrom two");
  assert.equal((await volumeStatus(engine, "shared"))["references"], 2);
  assert.equal((await engine.processes(`${process.execPath} `)).length, 3, "a mount a container");
  await engine.docker("rm", "-f", "one", "two");
  await unused(engine, "shared");
  assert.equal(
    await engine.inContainer(["-v", "shared:/data"], "cat /data/a"),
    "from one\nfrom two",
  );
});

test("ls and inspect show what there is, an unknown name is an error", async () => {
  await create("listed", "--label", "a=b", "--opt", "trash-days=2");
  assert.match(await engine.docker("volume", "ls"), /juicefs +listed/);
  const format = '{{.Driver}} {{index .Labels "a"}} {{index .Options "trash-days"}}';
  assert.equal(
    await engine.docker("volume", "inspect", "--format", format, "listed"),
    "juicefs b 2",
  );
  assert.match(await engine.refused("volume", "inspect", "none"), /no such volume/i);
});

test("a wrong option is refused in one line that names it, and leaves no volume", async () => {
  const args = ["volume", "create", "-d", "juicefs", "-o", "trashdays=1", "wrong"];
  assert.match(
    await engine.refused(...args),
    /create wrong: .*option "trashdays": there is none; did you mean "trash-days"\?$/,
  );
  const names = await engine.docker("volume", "ls", "--quiet");
  assert.ok(!names.split("\n").includes("wrong"));
});

test("what the image has there is copied into an empty volume, unless it is told not to", async () => {
  await create("copied");
  await create("empty");
  assert.equal(
    await engine.inContainer(["-v", "copied:/data"], "cat /data/image"),
    "from the image",
  );
  assert.equal(await engine.inContainer(["-v", "empty:/data:nocopy"], "ls /data"), "");
  assert.equal((await volumeStatus(engine, "copied"))["generation"], 1);
});

test("copying into and out of a running container leaves it its volume", async () => {
  await create("cp");
  await engine.container("cp", ["-v", "cp:/data"]);
  await engine.docker("exec", "cp", "sh", "-c", "echo inside > /data/a");
  const folder = engine.folder;
  await engine.docker("cp", "cp:/data/a", join(folder, "a"));
  assert.equal(await readFile(join(folder, "a"), "utf8"), "inside\n");
  await engine.docker("cp", join(folder, "a"), "cp:/data/b");
  assert.equal(await engine.docker("exec", "cp", "cat", "/data/b"), "inside");
  assert.equal((await volumeStatus(engine, "cp"))["references"], 1);
  await engine.docker("rm", "-f", "cp");
  await unused(engine, "cp");
});

test("ten containers started at once share one mount", async () => {
  await create("many");
  const names = Array.from({ length: 10 }, (_, number) => `many${number}`);
  await Promise.all(names.map((name) => engine.container(name, ["-v", "many:/data"])));
  const status = await volumeStatus(engine, "many");
  assert.equal(status["references"], 10);
  assert.equal(status["generation"], 1);
  await engine.docker("rm", "-f", ...names);
  await unused(engine, "many");
});

test("a read-only container cannot write, a user who is not root can in what is his", async () => {
  await create("rights");
  await engine.inContainer(["-v", "rights:/data:nocopy"], "chown 1000:1000 /data");
  await engine.inContainer(["-v", "rights:/data:nocopy", "-u", "1000"], "echo mine > /data/a");
  assert.equal(await engine.inContainer(["-v", "rights:/data"], "stat -c %u:%g /data/a"), "1000:0");
  const said = await engine.refused(
    ...["run", "--rm", "--network", "none", "-v", "rights:/data:ro"],
    ...["busybox:test", "sh", "-c", "echo no > /data/b"],
  );
  assert.match(said, /Read-only file system/);
});

test("options of a volume may come with docker run", async () => {
  const mount = "type=volume,src=inline,dst=/data,volume-driver=juicefs,volume-opt=read-only=true";
  const said = await engine.refused(
    ...["run", "--rm", "--network", "none", "--mount", `${mount},volume-nocopy`],
    ...["busybox:test", "sh", "-c", "echo no > /data/b"],
  );
  assert.match(said, /Read-only file system/);
});

test("containers notice nothing of a driver that is killed, and the next one goes on", async () => {
  await create("driven");
  await engine.container(
    ...(["driven", ["-v", "driven:/data"]] as const),
    "while true; do echo x >> /data/log || exit 1; sleep 0.1; done",
  );
  await driver.program().stop("SIGKILL");
  await driver.start();
  await until("the volume to be taken over", async () => {
    return (await volumeStatus(engine, "driven"))["state"] === "serving";
  });
  const lines = async (): Promise<number> =>
    Number(await engine.docker("exec", "driven", "sh", "-c", "wc -l < /data/log"));
  const then = await lines();
  await until("more lines", async () => (await lines()) > then + 3);
  const status = await volumeStatus(engine, "driven");
  assert.equal(status["references"], 1);
  assert.equal(status["generation"], 1);
  await engine.docker("rm", "-f", "driven");
  await unused(engine, "driven");
});

test("a volume heals under a running container when both of its processes are killed", async () => {
  await create("healed");
  await engine.container("healed", ["-v", "healed:/data"]);
  await engine.docker("exec", "healed", "sh", "-c", "echo still here > /data/a && sync");
  const { generation } = await volumeStatus(engine, "healed");
  const both = async (): Promise<number[]> =>
    engine.processes(`${process.execPath} ${MOUNT_PROGRAMS}`);
  await until("the mounts before to end", async () => (await both()).length === 2);
  // At one moment: each would start the other again.
  await engine.kill(await both());
  await until("the container to read again", () =>
    engine.docker("exec", "healed", "cat", "/data/a").then(
      (text) => text === "still here",
      () => false,
    ),
  );
  assert.equal((await volumeStatus(engine, "healed"))["generation"], Number(generation) + 1);
  await engine.docker("rm", "-f", "healed");
});

test("an engine that is killed and started again keeps volumes, labels and exact references", async () => {
  await create("labelled", "--label", "a=b", "--opt", "trash-days=2");
  const always = ["--restart", "always", "-v", "labelled:/data"];
  await engine.container("again", always);
  await engine.container("never", ["-v", "labelled:/data"]);
  await engine.stop("SIGKILL");
  await engine.start();
  const format = '{{index .Labels "a"}} {{index .Options "trash-days"}}';
  assert.equal(await engine.docker("volume", "inspect", "--format", format, "labelled"), "b 2");
  await until("the container that is always started", async () => {
    return (await engine.docker("ps", "--quiet", "--filter", "name=again")) !== "";
  });
  // The container that did not come back never sends its Unmount.
  await until("the user that is gone to be forgotten", async () => {
    return (await volumeStatus(engine, "labelled"))["references"] === 1;
  });
  await engine.docker("exec", "again", "sh", "-c", "echo works > /data/a");
  await engine.docker("rm", "-f", "again", "never");
  await unused(engine, "labelled");
});

test("with live-restore containers write on through the death of the engine", async () => {
  await engine.stop();
  await engine.start("--live-restore");
  await create("live");
  await engine.container("live", ["-v", "live:/data"]);
  await engine.stop("SIGKILL");
  await engine.start("--live-restore");
  await engine.docker("exec", "live", "sh", "-c", "echo works > /data/a");
  assert.equal((await volumeStatus(engine, "live"))["references"], 1);
  await engine.docker("restart", "--time", "0", "live");
  assert.equal(await engine.docker("exec", "live", "cat", "/data/a"), "works");
  await engine.docker("rm", "-f", "live");
  await unused(engine, "live");
  await engine.stop();
  await engine.start();
});

test("a removed volume keeps its data for a volume of the same name", async () => {
  await create("back");
  await engine.inContainer(["-v", "back:/data"], "echo kept > /data/a");
  await engine.docker("volume", "rm", "back");
  await create("back");
  assert.equal(await engine.inContainer(["-v", "back:/data"], "cat /data/a"), "kept");
});

test("a volume in use is not removed", async () => {
  await create("busy");
  await engine.container("busy", ["-v", "busy:/data"]);
  assert.match(await engine.refused("volume", "rm", "busy"), /in use/);
  await engine.docker("rm", "-f", "busy");
});

test("the socket goes with a driver that is told to end, so that nobody waits for it", async () => {
  await driver.program().stop("SIGTERM");
  await assert.rejects(stat(driver.socket), { code: "ENOENT" });
  await driver.start();
});
