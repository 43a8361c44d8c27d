import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { test } from "node:test";
import { Redis } from "ioredis";
import { weakPoints } from "../../src/meta/redis/durability.ts";
import { askTestMount, formatTestVolume, mountVolume } from "../support/mount.ts";
import { until } from "../support/process.ts";
import { startRedis } from "../support/redis.ts";

/** What a mount says about a server that may lose what it was told. */

test("each way of keeping data less surely than on disk at once has its sentence", async () => {
  await using server = await startRedis();
  const client = new Redis(server.url(), { protocol: 2 });
  try {
    const cases: [Record<string, string>, RegExp[]][] = [
      [{}, [/keeps nothing on disk: .*; set appendonly yes$/]],
      [{ save: "3600 1" }, [/keeps snapshots only: .*; set appendonly yes$/]],
      [{ appendonly: "yes", appendfsync: "everysec" }, [/syncs once a second: .* power failure/]],
      [{ appendfsync: "no" }, [/leaves it to its system .* half a minute/]],
      [{ appendfsync: "always" }, []],
      [{ "maxmemory-policy": "allkeys-lru" }, [/as soon as it has a maxmemory: .*noeviction/]],
      [{ maxmemory: "1gb" }, [/when its memory is full: .* instead of allkeys-lru$/]],
    ];
    for (const [settings, expected] of cases) {
      for (const [name, value] of Object.entries(settings)) await client.config("SET", name, value);
      const found = await weakPoints(client);
      assert.equal(found.length, expected.length, found.join("\n"));
      for (const [at, sentence] of found.entries()) assert.match(sentence, expected[at] ?? /^$/);
    }
    await client.call("ACL", "SETUSER", "asks", "on", ">pw", "~*", "+@all", "-config");
    await client.call("ACL", "SETUSER", "mute", "on", ">pw", "~*", "+@all", "-info");
    await client.config("SET", "maxmemory-policy", "noeviction");
    for (const [username, sentence] of [
      ["asks", /does not tell how often it syncs/],
      ["mute", /does not tell how it keeps its data: give the user the right \+info/],
    ] as const) {
      const other = new Redis(server.url(), { protocol: 2, username, password: "pw" });
      assert.match((await weakPoints(other)).join("\n"), sentence);
      other.disconnect();
    }
  } finally {
    client.disconnect();
  }
});

test("a mount says it once in its log, and a successor of its serving process does not", async () => {
  await using volume = await formatTestVolume();
  await using mount = await mountVolume(volume);
  const said = (): number => mount.supervisor.output().split("keeps nothing on disk").length - 1;
  await until("the warning", () => said() === 1);
  const at = { path: mount.path, folder: volume.folder };
  process.kill((await askTestMount(at)).serverPid, "SIGKILL");
  await until("a successor", async () => {
    const { restarts, state } = await askTestMount(at);
    return restarts === 1 && state === "serving";
  });
  // It has answered something after it began to serve.
  await readdir(mount.path);
  assert.equal(said(), 1);
});
