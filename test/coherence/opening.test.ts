import assert from "node:assert/strict";
import { constants } from "node:fs";
import { link, open, readFile, rename, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { Redis } from "ioredis";
import { mountPair, type Pair } from "../support/pair.ts";
import { until } from "../support/process.ts";
import { startProxy, type TcpProxy } from "../support/tcp-proxy.ts";

/** Who opens a file finds what others had stored before that, however late the notices of it come. */

const LATE_MS = 30;
const ROUNDS = 10;
const OPENS = 100;

suite("opening what another host changed just before", () => {
  const stack = new AsyncDisposableStack();
  let pair: Pair;
  let proxy: TcpProxy;

  before(async () => {
    pair = stack.use(
      await mountPair({
        format: ["--trash-days", "0"],
        async secondUrl({ server }) {
          proxy = stack.use(await startProxy(server.port));
          return `redis://127.0.0.1:${proxy.port}/1`;
        },
      }),
    );
    proxy.delay("notices", LATE_MS);
  });
  after(() => stack.disposeAsync());

  /** A file that both mounts have read. */
  async function file(name: string): Promise<{ theirs: string; ours: string }> {
    const [theirs, ours] = [join(pair.one.path, name), join(pair.two.path, name)];
    await writeFile(theirs, "before");
    await until("it is seen", async () => {
      return (await readFile(ours, "utf8").catch(() => "")) === "before";
    });
    return { theirs, ours };
  }

  /** Stored when it settles. */
  async function store(path: string, text: string): Promise<void> {
    await using stored = await open(path, "w");
    await stored.writeFile(text);
    await stored.sync();
  }

  test("its contents are those that were stored, longer or shorter", async () => {
    const { theirs, ours } = await file("contents");
    for (let round = 0; round < ROUNDS; round++) {
      const text = `round ${round} `.repeat(1 + ((round * 7) % 5));
      await store(theirs, text);
      assert.equal(await readFile(ours, "utf8"), text);
    }
  });

  test("it is the file that was moved to its name, every time", async () => {
    const { theirs, ours } = await file("replaced");
    for (let round = 0; round < ROUNDS; round++) {
      await store(`${theirs}.new`, `round ${round}`);
      await rename(`${theirs}.new`, theirs);
      assert.equal(await readFile(ours, "utf8"), `round ${round}`);
    }
  });

  test("there is none where its name was removed, and one where another name is left", async () => {
    const { theirs, ours } = await file("removed");
    await link(theirs, `${theirs}.other`);
    assert.equal(await readFile(`${ours}.other`, "utf8"), "before");
    await unlink(theirs);
    await assert.rejects(open(ours), { code: "ENOENT" });
    assert.equal(await readFile(`${ours}.other`, "utf8"), "before");
  });

  test("who holds it open opens it again through his descriptor", async () => {
    const { theirs, ours } = await file("held");
    await using held = await open(ours);
    await store(`${theirs}.new`, "after");
    await rename(`${theirs}.new`, theirs);
    assert.equal(await readFile(`/proc/self/fd/${held.fd}`, "utf8"), "before");
    assert.equal(await readFile(ours, "utf8"), "after");
  });

  test("who would make it and finds it there reads what was stored", async () => {
    const { theirs, ours } = await file("made");
    await store(theirs, "after");
    await using found = await open(ours, constants.O_CREAT | constants.O_RDWR);
    assert.equal(await found.readFile("utf8"), "after");
  });

  test("where the server does not answer it is asked for the file itself", async () => {
    const { theirs, ours } = await file("silent");
    proxy.hold("notices", true);
    try {
      await store(theirs, "after");
      assert.equal(await readFile(ours, "utf8"), "after");
    } finally {
      proxy.hold("notices", false);
    }
  });
});

/** How often a server was asked for a sign of life. */
async function pings(redis: Redis): Promise<number> {
  const info = await redis.info("commandstats");
  return Number(/cmdstat_ping:calls=(\d+)/.exec(info)?.[1] ?? 0);
}

for (const [mount, least, most] of [
  [[], OPENS, OPENS * 1.5],
  [["--open-cache", "1h"], 0, OPENS / 2],
] as const) {
  const how = mount.join(" ") || "the defaults";
  test(`beside another mount, with ${how}, ${OPENS} opens cost ${least} signs of life`, async () => {
    await using pair = await mountPair({ mount });
    const redis = new Redis(pair.volume.server.url(), { protocol: 2 });
    try {
      const path = join(pair.one.path, "f");
      await writeFile(path, "");
      const before = await pings(redis);
      for (let count = 0; count < OPENS; count++) await readFile(path);
      const asked = (await pings(redis)) - before;
      assert.ok(asked >= least && asked <= most, `${asked}`);
    } finally {
      redis.disconnect();
    }
  });
}
