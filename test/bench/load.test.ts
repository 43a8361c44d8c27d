import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { mountBare } from "../../bench/extras/bare-mount.ts";
import { LoadPool } from "../../bench/load/pool.ts";
import { makeFolder } from "../support/folder.ts";
import { until } from "../support/process.ts";

test("tasks of several processes run side by side and are counted together", async () => {
  await using folder = await makeFolder();
  await using pool = new LoadPool();
  const { operations, seconds } = await pool.run(
    [0, 1, 2].map((at) => {
      return { kind: "create", folder: folder.path, prefix: `p${at}-`, count: 50 };
    }),
  );
  assert.equal(operations, 150);
  assert.ok(seconds > 0);
  assert.equal(readdirSync(folder.path).length, 150);
});

test("a task that fails says why", async () => {
  await using folder = await makeFolder();
  await using pool = new LoadPool();
  const task = { kind: "unlink", folder: folder.path, prefix: "none", count: 1 } as const;
  await assert.rejects(pool.run([task]), /ENOENT.*none0/);
  assert.equal((await pool.run([{ ...task, kind: "create" }])).operations, 1);
});

test("what is written is as long as was asked for, and read whole", async () => {
  await using folder = await makeFolder();
  await using pool = new LoadPool();
  const file = { folder: folder.path, prefix: "file", count: 1, bytes: 3 << 20 };
  assert.equal((await pool.run([{ ...file, kind: "writeStream" }])).operations, 3);
  assert.equal((await pool.run([{ ...file, kind: "readStream" }])).operations, 3);
  await pool.run([{ ...file, kind: "writePages", count: 10 }]);
  await pool.run([{ ...file, kind: "readPages", seconds: 0.01 }]);
  assert.equal((await stat(join(folder.path, "file0"))).size, 3 << 20);
  await assert.rejects(pool.run([{ ...file, kind: "readStream", bytes: 4 << 20 }]), /shorter/);
});

test("the bare read loop answers what it is asked for", async () => {
  await using folder = await makeFolder();
  await using bare = await mountBare(folder.path);
  await using pool = new LoadPool();
  const before = ticksOf(bare.pid);
  await pool.run([{ kind: "askAttributes", folder: folder.path, prefix: "file", count: 20_000 }]);
  assert.ok(ticksOf(bare.pid) > before);
  assert.equal((await stat(join(folder.path, "file"))).size, 0);
});

/** CPU time of a process. */
function ticksOf(pid: number): number {
  const [, , , , , , , , , , , , , user, system] = readFileSync(`/proc/${pid}/stat`, "utf8").split(
    " ",
  );
  return Number(user) + Number(system);
}

test("the sink keeps small objects, swallows large ones, and finds requests however they come", async () => {
  const program = fileURLToPath(new URL("../../bench/extras/sink-server.ts", import.meta.url));
  const server = fork(program);
  const gone = once(server, "exit");
  try {
    const [port] = (await once(server, "message")) as [number];
    const url = (key: string): string => `http://127.0.0.1:${port}/bucket/${key}`;
    for (const [key, body] of Object.entries({ small: "kept", empty: "" })) {
      assert.equal((await fetch(url(key), { method: "PUT", body })).status, 200);
      assert.equal(await (await fetch(url(key))).text(), body);
    }
    const block = Buffer.alloc(4 << 20, 7);
    assert.equal((await fetch(url("block"), { method: "PUT", body: block })).status, 200);
    assert.equal((await fetch(url("block"))).status, 404);
    assert.match(await (await fetch(url("?list-type=2"))).text(), /ListBucketResult/);
    assert.equal((await fetch(url("small"), { method: "DELETE" })).status, 204);
    assert.equal((await fetch(url("small"))).status, 404);
    const answers = await sendInPieces(port, [
      "PUT /bucket/odd HTTP/1.1\r\nContent-Le",
      "ngth: 5\r\n\r\nhel",
      "loGET /bucket/odd HTTP/1.1\r\n\r\n",
    ]);
    assert.match(answers, /^HTTP\/1\.1 200 .*HTTP\/1\.1 200 .*\r\n\r\nhello$/s);
  } finally {
    server.disconnect();
    await gone;
  }
});

/** Sends bytes as they are cut here; answers what came until `hello`. */
async function sendInPieces(port: number, pieces: readonly string[]): Promise<string> {
  const socket = connect(port, "127.0.0.1").setNoDelay();
  let text = "";
  socket.on("data", (bytes) => {
    text += bytes.toString();
  });
  for (const piece of pieces) {
    socket.write(piece);
    await sleep(20);
  }
  await until("the object", () => text.endsWith("hello"));
  socket.destroy();
  return text;
}
