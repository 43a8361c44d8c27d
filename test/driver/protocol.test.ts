import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, test } from "node:test";
import {
  exchange,
  mountId,
  request,
  requestBytes,
  startDriver,
  type TestDriver,
} from "../support/driver.ts";
import { until } from "../support/process.ts";

let driver: TestDriver;
before(async () => {
  driver = await startDriver({ JUICEFS_GRACE: "1s" });
});
after(async () => {
  await driver[Symbol.asyncDispose]();
});

test("it tells what it is", async () => {
  const activated = await request(driver.socket, "Plugin.Activate");
  assert.equal(activated.status, 200);
  assert.deepEqual((JSON.parse(activated.body) as { Implements: unknown }).Implements, [
    "VolumeDriver",
  ]);
  const { body } = await request(driver.socket, "VolumeDriver.Capabilities", {});
  assert.deepEqual((JSON.parse(body) as { Capabilities: unknown }).Capabilities, {
    Scope: "local",
  });
});

test("the socket is for root and its group", () => {
  assert.equal(statSync(driver.socket).mode & 0o777, 0o660);
});

test("a request without a body is an error, whatever it asks", async () => {
  for (const method of ["Create", "Get", "Mount", "Unmount", "Remove", "Path"]) {
    const { status, body } = await request(driver.socket, `VolumeDriver.${method}`);
    assert.equal(status, 200);
    assert.match((JSON.parse(body) as { Err: string }).Err, /without a body/, method);
  }
  assert.deepEqual((await driver.done("VolumeDriver.List", {})).Volumes, []);
});

test("a body of any content type and any host is read", async () => {
  const bytes = requestBytes("VolumeDriver.Get", { Name: "none" });
  for (const [from, to] of [
    ["Host: ", "Host: %2Frun%2Fdocker%2Fplugins%2Fjuicefs.sock"],
    ["Host: ", "Host: plugin.moby.localhost"],
    ["Host: \r\n", "Host: \r\nContent-Type: application/json\r\n"],
    ["Host: \r\n", "Host: \r\nContent-Type: text/plain\r\n"],
  ] as const) {
    const { status, body } = await exchange(driver.socket, bytes.replace(from, to));
    assert.equal(status, 200);
    assert.deepEqual(JSON.parse(body), { Err: 'no such volume: "none"' });
  }
});

test("what is no request of the protocol is an error in words", async () => {
  const unknown = await request(driver.socket, "VolumeDriver.Nothing", {});
  assert.equal(unknown.status, 404);
  assert.match(unknown.body, /there is no POST \/VolumeDriver.Nothing/);
  const bytes = "POST /VolumeDriver.Get HTTP/1.1\r\nHost: \r\nContent-Length: 4\r\n\r\n{no}";
  assert.match((await exchange(driver.socket, bytes)).body, /the request is not JSON/);
  const wrong = await driver.call("VolumeDriver.Create", { Name: "x", Opts: { a: 1 } });
  assert.match(wrong.Err, /Opts\.a/);
  const nameless = await driver.call("VolumeDriver.Create", { Opts: null });
  assert.match(nameless.Err, /Name/);
});

test("a name that could lead elsewhere is refused, and nothing is made", async () => {
  const names = [
    "../x",
    "a/b",
    "..",
    ".hid",
    "a:b",
    "sp ace",
    "\u00fcn\u00ef",
    "n".repeat(300),
    "a\0b",
    "-a",
  ];
  for (const Name of names) {
    const { Err } = await driver.call("VolumeDriver.Create", { Name, Opts: null });
    assert.match(Err, /Cannot name a volume/, Name);
    assert.ok(Err.length < 400);
    const mounted = await driver.call("VolumeDriver.Mount", { Name, ID: mountId("1") });
    assert.match(mounted.Err, /no such volume/);
  }
  assert.deepEqual(readdirSync(driver.namespace.path(join(driver.state, "volumes"))), []);
});

test("a volume is known from its creation to its removal", async () => {
  await driver.done("VolumeDriver.Create", { Name: "known", Opts: { "trash-days": "2" } });
  const { Volume } = await driver.done("VolumeDriver.Get", { Name: "known" });
  assert.equal(Volume?.Name, "known");
  assert.ok(Math.abs(Date.parse(Volume?.CreatedAt ?? "") - Date.now()) < 60_000);
  assert.equal(Volume?.Status?.["state"], "idle");
  assert.deepEqual(Volume?.Status?.["options"], { "trash-days": "2" });
  const { Volumes } = await driver.done("VolumeDriver.List", {});
  assert.deepEqual(
    Volumes?.map(({ Name }) => Name),
    ["known"],
  );
  const { Mountpoint } = await driver.done("VolumeDriver.Path", { Name: "known" });
  assert.equal(Mountpoint, join(driver.state, "volumes", "known"));
  await driver.done("VolumeDriver.Remove", { Name: "known" });
  const { Err } = await driver.call("VolumeDriver.Get", { Name: "known" });
  assert.equal(Err, 'no such volume: "known"');
});

test("a volume may be called as a member of every object is", async () => {
  for (const Name of ["constructor", "toString"]) {
    await driver.done("VolumeDriver.Create", { Name, Opts: null });
    await driver.done("VolumeDriver.Remove", { Name });
  }
  const { Err } = await driver.call("VolumeDriver.Create", { Name: "o", Opts: { valueOf: "" } });
  assert.match(Err, /option "valueOf": there is none/);
});

test("creating a volume again is fine with the same options, and refused with others", async () => {
  const Opts = { "trash-days": "2", "secret-key": "hush" };
  await driver.done("VolumeDriver.Create", { Name: "again", Opts });
  await driver.done("VolumeDriver.Create", { Name: "again", Opts });
  for (const other of [null, { ...Opts, "trash-days": "3" }, { ...Opts, "secret-key": "loud" }]) {
    const { Err } = await driver.call("VolumeDriver.Create", { Name: "again", Opts: other });
    assert.match(Err, /"again": there is one with other options/);
  }
  await driver.done("VolumeDriver.Remove", { Name: "again" });
});

test("a wrong option is named, and no volume is made", async () => {
  const { Err } = await driver.call("VolumeDriver.Create", { Name: "w", Opts: { trashdays: "1" } });
  assert.match(Err, /option "trashdays": there is none; did you mean "trash-days"\?/);
  assert.match((await driver.call("VolumeDriver.Get", { Name: "w" })).Err, /no such volume/);
});

test("one connection carries many requests, and one that carries none is no error", async () => {
  const silent = connect(driver.socket);
  await once(silent, "connect");
  silent.destroy();
  const socket = connect(driver.socket);
  await once(socket, "connect");
  for (const name of ["a", "b", "c"]) {
    socket.write(requestBytes("VolumeDriver.Get", { Name: name }));
    const [chunk] = (await once(socket, "data")) as [Buffer];
    assert.match(chunk.toString(), new RegExp(`no such volume: \\\\"${name}`));
  }
  socket.destroy();
  assert.doesNotMatch(driver.program().output(), /nobody expected/);
});

test("who goes away while a volume is mounted leaves no reference behind", async () => {
  await driver.done("VolumeDriver.Create", { Name: "gone", Opts: null });
  const socket = connect(driver.socket);
  await once(socket, "connect");
  socket.write(requestBytes("VolumeDriver.Mount", { Name: "gone", ID: mountId("a") }));
  await sleep(50);
  socket.destroy();
  const status = async (): Promise<Readonly<Record<string, unknown>>> =>
    (await driver.done("VolumeDriver.Get", { Name: "gone" })).Volume?.Status ?? {};
  assert.equal((await status())["references"], 0);
  // The mount itself was not in vain until the grace is over.
  await until("the mount", async () => (await status())["state"] === "serving");
  assert.equal((await status())["references"], 0);
  await until("the end of the mount", async () => (await status())["state"] === "idle");
  await driver.done("VolumeDriver.Remove", { Name: "gone" });
});

test("what is asked when the driver is told to end is answered, and holds for the next one", async () => {
  await driver.done("VolumeDriver.Create", { Name: "late", Opts: null });
  // A connection that says nothing keeps nobody.
  const silent = connect(driver.socket);
  await once(silent, "connect");
  const mounting = driver.call("VolumeDriver.Mount", { Name: "late", ID: mountId("b") });
  await sleep(50);
  await driver.program().stop("SIGTERM");
  silent.destroy();
  assert.equal((await mounting).Err, "");
  await driver.start();
  const { Volume } = await driver.done("VolumeDriver.Get", { Name: "late" });
  assert.equal(Volume?.Status?.["references"], 1);
  await driver.done("VolumeDriver.Unmount", { Name: "late", ID: mountId("b") });
  await driver.done("VolumeDriver.Remove", { Name: "late" });
});
