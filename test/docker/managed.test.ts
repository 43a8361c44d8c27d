import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  buildPlugin,
  startEngine,
  unused,
  volumeStatus,
  type TestEngine,
} from "../support/engine.ts";
import { until } from "../support/process.ts";
import { startRegistry, type TestRegistry } from "../support/registry.ts";

/** The managed plugin, as it comes from a registry. */

const PID_1 = "/usr/bin/tini -- /plugin/start";
const DRIVER = "/usr/bin/node /plugin/src/driver/main.ts";

let engine: TestEngine;
let registry: TestRegistry;
before(async () => {
  registry = await startRegistry();
  engine = await startEngine();
  await push("v1");
  await engine.docker("plugin", "install", ...INSTALL, `${registry.host}/juicefs:v1`);
});
after(async () => {
  await engine[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});

const INSTALL = ["--alias", "juicefs", "--grant-all-permissions"];

async function push(tag: string): Promise<void> {
  const folder = await buildPlugin(engine);
  await writeFile(join(folder, "rootfs/plugin/built"), tag);
  const name = `${registry.host}/juicefs:${tag}`;
  await engine.docker("plugin", "create", name, folder);
  await engine.docker("plugin", "push", name);
  await engine.docker("plugin", "rm", name);
}

/** Written all the time by one process that never closes it, which would store it. */
const COUNT = "for i in $(seq 100000); do echo $i; echo $i >&2; sleep 0.1; done | cat > /data/a";

/** How many lines it says that it has written. */
async function countedBy(container: string): Promise<number> {
  const logs = `docker -H unix:///run/docker.sock logs --tail 1 ${container} 2>&1`;
  return Number((await engine.namespace.run("sh", "-c", logs)) || "0");
}

async function create(name: string, ...options: string[]): Promise<void> {
  await engine.docker("volume", "create", "--driver", "juicefs", ...options, name);
}

/** The folder on the host below which the plugin mounts. */
async function propagated(): Promise<string> {
  const id = await engine.docker("plugin", "inspect", "--format", "{{.ID}}", "juicefs");
  return join(engine.folder, "data/plugins", id, "propagated-mount");
}

/**
 * An engine that was killed cleans up after the plugin that it finds running, and now and then takes away what the next one is
 * seen by. The plugin cannot know; whoever keeps the machine does what docs/docker.md tells.
 */
async function seenByEngine(container: string): Promise<void> {
  const points = join(await propagated(), "volumes");
  const seen = (): boolean =>
    engine.namespace.mounts().some((line) => line.split(" ")[4] === points);
  for (let looks = 0; looks < 80 && !seen(); looks++) await sleep(100);
  if (seen()) return;
  process.stdout.write(
    "# the engine does not see what is mounted: the plugin is turned off and on\n",
  );
  await engine.docker("plugin", "disable", "--force", "juicefs");
  await engine.docker("plugin", "enable", "juicefs");
  await engine.docker("restart", "--time", "0", container);
}

async function reads(container: string, path: string, expected: string): Promise<void> {
  await until(`${container} to read ${path}`, () =>
    engine.docker("exec", container, "cat", path).then(
      (text) => text === expected,
      () => false,
    ),
  );
}

test("it asks for the network, /dev/fuse and one capability, and for nothing else", async () => {
  const { Config } = JSON.parse(
    await engine.docker("plugin", "inspect", "--format", "{{json .}}", "juicefs"),
  ) as { Config: Record<string, Record<string, unknown>> };
  assert.equal(Config["Network"]?.["Type"], "host");
  assert.deepEqual(Config["Linux"]?.["Capabilities"], ["CAP_SYS_ADMIN"]);
  const devices = Config["Linux"]?.["Devices"] as { Path: string }[];
  assert.deepEqual(
    devices.map(({ Path }) => Path),
    ["/dev/fuse"],
  );
  assert.equal(Config["Linux"]?.["AllowAllDevices"], false);
  assert.deepEqual(Config["Mounts"] ?? [], [], "no folder of the host");
  assert.equal(Config["IpcHost"], false);
  assert.equal(Config["PidHost"], false);
});

/** How far the kernel reads ahead on each mount, KiB. */
function readAheads(): string[] {
  const mounts = engine.namespace.mounts().filter((line) => line.includes(" - fuse.juicefs "));
  return mounts.map((line) => {
    const device = line.split(" ")[2];
    return readFileSync(`/sys/class/bdi/${device}/read_ahead_kb`, "utf8").trim();
  });
}

test("two containers share a volume; its files outlive them and the plugin's being off", async () => {
  await create("shared");
  await engine.container("one", ["-v", "shared:/data"]);
  await engine.container("two", ["-v", "shared:/data"]);
  await engine.docker("exec", "one", "sh", "-c", "echo from one > /data/a");
  assert.equal(await engine.docker("exec", "two", "cat", "/data/a"), "from one");
  assert.equal((await volumeStatus(engine, "shared"))["generation"], 1);
  assert.deepEqual([...new Set(readAheads())], ["1024"]);
  await engine.docker("rm", "-f", "one", "two");
  await unused(engine, "shared");
  await engine.docker("plugin", "disable", "--force", "juicefs");
  await engine.docker("plugin", "enable", "juicefs");
  assert.equal(await engine.inContainer(["-v", "shared:/data"], "cat /data/a"), "from one");
});

test("containers notice nothing when the driver inside the plugin is killed", async () => {
  await create("driven");
  const script = "while true; do echo x >> /data/log || exit 1; sleep 0.1; done";
  await engine.container("driven", ["-v", "driven:/data"], script);
  const before = await engine.processes(DRIVER);
  await engine.kill(before);
  await until("another driver", async () => {
    const [now] = await engine.processes(DRIVER);
    return now !== undefined && now !== before[0];
  });
  await until("the volume to be taken over", async () => {
    const status = await volumeStatus(engine, "driven").catch(() => undefined);
    return status?.["state"] === "serving";
  });
  const status = await volumeStatus(engine, "driven");
  assert.equal(status["generation"], 1);
  assert.equal(status["references"], 1);
  const lines = async (): Promise<number> =>
    Number(await engine.docker("exec", "driven", "sh", "-c", "wc -l < /data/log"));
  const then = await lines();
  await until("more lines", async () => (await lines()) > then + 3);
  await engine.docker("rm", "-f", "driven");
});

test("when the whole plugin is killed, running containers read again without a restart", async () => {
  const names = ["heal0", "heal1", "heal2"];
  for (const name of names) {
    await create(name);
    await engine.container(name, ["-v", `${name}:/data`]);
    await engine.docker("exec", name, "sh", "-c", `echo ${name} > /data/a && sync`);
  }
  await engine.kill(await engine.processes(PID_1));
  const start = Date.now();
  for (const name of names) await reads(name, "/data/a", name);
  process.stdout.write(`# read again after ${Date.now() - start} ms\n`);
  for (const name of names) {
    const status = await volumeStatus(engine, name);
    assert.equal(status["references"], 1);
    assert.equal(status["generation"], 2);
    assert.match(String(status["healed"]), /Z: volumes mounted inside are hidden until/);
    await engine.docker("exec", name, "sh", "-c", "echo more > /data/b");
    await engine.docker("rm", "-f", name);
    await unused(engine, name);
    assert.equal(
      await engine.inContainer(["-v", `${name}:/data`], "cat /data/a /data/b"),
      `${name}\nmore`,
    );
  }
});

test("what a container had written and nobody had stored outlives the whole plugin", async () => {
  await create("unstored");
  await engine.container("unstored", ["-v", "unstored:/data:nocopy"], COUNT);
  await until("some lines", async () => (await countedBy("unstored")) > 5);
  const least = await countedBy("unstored");
  await engine.kill(await engine.processes(PID_1));
  await until("every line", async () => {
    const found = await engine
      .inContainer(["-v", "unstored:/data"], "wc -l < /data/a")
      .catch(() => "0");
    return Number(found) >= least;
  });
  await engine.docker("rm", "-f", "unstored");
});

test("while it is off nothing is written to the host, and containers go on after a restart", async () => {
  await create("off");
  await engine.container("off", ["-v", "off:/data:nocopy"], `test -e /data/a || { ${COUNT}; }`);
  await until("some lines", async () => (await countedBy("off")) > 5);
  const least = await countedBy("off");
  assert.match(await engine.refused("plugin", "disable", "juicefs"), /in use/);
  await engine.docker("plugin", "disable", "--force", "juicefs");
  await assert.rejects(engine.docker("exec", "off", "sh", "-c", "echo lost > /data/b"));
  const host = engine.namespace.path(join(await propagated(), "volumes"));
  assert.deepEqual(await readdir(host), []);
  await engine.docker("plugin", "enable", "juicefs");
  const found = await engine.inContainer(["-v", "off:/data"], "wc -l < /data/a");
  assert.ok(Number(found) >= least, `${found} of ${least} lines are there`);
  await engine.docker("restart", "--time", "0", "off");
  await engine.docker("rm", "-f", "off");
});

test("an engine that is killed and started again finds volumes, labels and containers", async () => {
  await create("labelled", "--label", "a=b", "--opt", "trash-days=2");
  await engine.container("again", ["--restart", "always", "-v", "labelled:/data"]);
  await engine.docker("exec", "again", "sh", "-c", "echo kept > /data/a && sync");
  await engine.stop("SIGKILL");
  await engine.start();
  await seenByEngine("again");
  const format = '{{index .Labels "a"}} {{index .Options "trash-days"}}';
  assert.equal(await engine.docker("volume", "inspect", "--format", format, "labelled"), "b 2");
  await reads("again", "/data/a", "kept");
  assert.equal((await volumeStatus(engine, "labelled"))["references"], 1);
  await engine.docker("rm", "-f", "again");
  await unused(engine, "labelled");
});

test("a plugin whose mounts the engine took away is started again, and its volumes are seen", async () => {
  await create("seen");
  await engine.inContainer(["-v", "seen:/data"], "echo seen > /data/a");
  const [pid1] = await engine.processes(PID_1);
  // As an engine does that cleans up late after the plugin's container before.
  await engine.namespace.run("umount", "--recursive", "--lazy", await propagated());
  await until("another container of the plugin", async () => {
    const [now] = await engine.processes(PID_1);
    return now !== undefined && now !== pid1;
  });
  await until("the volume", () =>
    engine.inContainer(["-v", "seen:/data"], "cat /data/a").then(
      (text) => text === "seen",
      () => false,
    ),
  );
});

test("a folder that an upgrade would throw away is refused", async () => {
  const args = ["volume", "create", "-d", "juicefs", "-o", "bucket=/srv/photos", "photos"];
  assert.match(await engine.refused(...args), /an upgrade of the plugin would throw it away/);
});

test("an upgrade keeps volumes, labels and files", async () => {
  await create("kept", "--label", "a=b");
  await engine.inContainer(["-v", "kept:/data"], "echo kept > /data/a");
  // What is staged is stored nowhere else for the next hours.
  const later = (new Date().getHours() + 12) % 24;
  const hours = `upload-hours=${later}-${(later + 1) % 24}`;
  await create("staged", "--opt", "writeback=true", "--opt", hours);
  await engine.inContainer(["-v", "staged:/data"], "echo staged > /data/a");
  await push("v2");
  await engine.docker("plugin", "disable", "--force", "juicefs");
  const skip = ["--grant-all-permissions", "--skip-remote-check"];
  await engine.docker("plugin", "upgrade", ...skip, "juicefs", `${registry.host}/juicefs:v2`);
  await engine.docker("plugin", "enable", "juicefs");
  const [pid1] = await engine.processes(PID_1);
  const root = `/proc/${pid1}/root`;
  assert.equal(await engine.namespace.run("cat", join(root, "plugin/built")), "v2");
  assert.equal(
    await engine.docker("volume", "inspect", "--format", '{{index .Labels "a"}}', "kept"),
    "b",
  );
  assert.equal(await engine.inContainer(["-v", "kept:/data"], "cat /data/a"), "kept");
  assert.equal(await engine.inContainer(["-v", "staged:/data"], "cat /data/a"), "staged");
});

test("with live-restore containers write on through the death of the engine", async () => {
  await engine.stop();
  await engine.start("--live-restore");
  await create("live");
  await engine.container("live", ["-v", "live:/data"]);
  const [before] = await engine.processes(DRIVER);
  await engine.stop("SIGKILL");
  await engine.start("--live-restore");
  assert.deepEqual(await engine.processes(DRIVER), [before]);
  await engine.docker("exec", "live", "sh", "-c", "echo works > /data/a");
  assert.equal((await volumeStatus(engine, "live"))["references"], 1);
  await engine.docker("restart", "--time", "0", "live");
  await reads("live", "/data/a", "works");
  await engine.docker("rm", "-f", "live");
  await unused(engine, "live");
});

test("what the driver logs is not taken for errors", async () => {
  const log = await engine.log();
  assert.doesNotMatch(log, /level=error msg="\{/);
  assert.match(log, /level=info msg="\{.*mounted/);
});
