import assert from "node:assert/strict";
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { log } from "../../src/base/log.ts";
import { BlockJobs, type BlockJob, type JobRunner } from "../../src/chunk/block-jobs.ts";
import { BlockStore } from "../../src/chunk/block-store.ts";
import { Spool } from "../../src/chunk/spool.ts";
import { ROOT_INO, TYPE_FILE } from "../../src/meta/limits.ts";
import type { Meta } from "../../src/meta/meta.ts";
import type { Ino } from "../../src/meta/types.ts";
import { DataEngine } from "../../src/vfs/data-engine.ts";
import { DirtyJournal, NOTHING_JOURNALED, readJournal } from "../../src/vfs/dirty-journal.ts";
import { makeFolder } from "../support/folder.ts";
import { makeVolume, ROOT_CALLER, type TestVolume } from "../support/meta.ts";
import { until } from "../support/process.ts";
import { startProxy } from "../support/tcp-proxy.ts";

/** What a process leaves that ended at a bad moment, and what its successor makes of it. */

const RECORD_BYTES = 64;
const LETTERS = ["a", "b", "c"];

/** How a block's job goes; `real` does it. */
type Course = (job: BlockJob, real: () => Promise<void>) => Promise<void>;

interface Engine extends AsyncDisposable {
  readonly meta: Meta;
  readonly data: DataEngine;
  readonly folder: string;
  /** It reaches the server no more. */
  readonly cutOff: () => Promise<void>;
}

async function openEngine(
  volume: TestVolume,
  place: string,
  course: Course,
  { after, open = [] }: { after?: Engine; open?: readonly Ino[] } = {},
): Promise<Engine> {
  const folder = join(place, after === undefined ? "first" : "second");
  if (after === undefined) mkdirSync(folder);
  const way = await startProxy(volume.server.port);
  const given = after === undefined ? {} : { sid: after.meta.sid };
  const { meta } = await volume.open(given, volume.url.replace(/:\d+\//, `:${way.port}/`));
  const spool = new Spool(join(folder, "spool"), { keep: after !== undefined });
  const jobs = await BlockJobs.open({
    storage: { ...meta.format, Bucket: join(place, "objects"), noSync: true },
    ...{ compression: meta.format.Compression, spoolFd: spool.fd, ioRetries: 0 },
    ...{ putTimeoutMs: 10_000, getTimeoutMs: 10_000 },
  });
  const runner: JobRunner = {
    run: (job) => course(job, () => jobs.run(job)),
    useStorage: (storage) => jobs.useStorage(storage),
    close: () => jobs.close(),
  };
  const store = new BlockStore(runner, {
    ...{ blockSize: 64 << 10, hashPrefix: false, rangeReads: jobs.rangeReads },
    ...{ maxUploads: 4, maxDownloads: 4, maxDeletes: 4 },
  });
  const options = { bufferBytes: 8 << 20, readaheadMax: 1 << 20, folder, readOnly: false };
  const listener = { committed: () => undefined };
  const data = new DataEngine(meta, { store, spool }, { options, listener });
  for (const ino of open) data.opened(ino);
  const cutOff = async (): Promise<void> => way[Symbol.asyncDispose]();
  try {
    await data.restore(after === undefined ? NOTHING_JOURNALED : readJournal(folder));
  } catch (error) {
    await meta.close();
    await cutOff();
    throw error;
  }
  return {
    ...{ meta, data, folder, cutOff },
    async [Symbol.asyncDispose]() {
      await meta.close();
      await cutOff();
    },
  };
}

async function makeFile({ meta, data }: Engine, name: string): Promise<Ino> {
  const node = { type: TYPE_FILE, mode: 0o644, umask: 0 };
  const { ino } = await meta.create(ROOT_CALLER, ROOT_INO, Buffer.from(name), node);
  data.opened(ino);
  return ino;
}

async function textAt({ data }: Engine, ino: Ino, offset: number, size: number): Promise<string> {
  const views = await data.read(data.openHandle(ino), offset, size, offset + size);
  return Buffer.concat(views).toString();
}

const never: Course = () => new Promise(() => undefined);

/** Somebody waits for what is pending; nobody is told when the engine is gone. */
function flushUnheard({ data }: Engine): void {
  data.flushAll().catch(() => undefined);
}

/** The successor of an engine that ended when so many records were in its journal. */
async function succeed(
  volume: TestVolume,
  place: string,
  first: Engine,
  {
    records,
    course = (_job, real) => real(),
    open = [],
  }: { records: number; course?: Course; open?: readonly Ino[] },
): Promise<Engine> {
  await until(`${records} records`, () => {
    return readFileSync(join(first.folder, "journal")).length >= records * RECORD_BYTES;
  });
  const second = join(place, "second");
  cpSync(first.folder, second, { recursive: true });
  const journal = readFileSync(join(second, "journal"));
  writeFileSync(join(second, "journal"), journal.subarray(0, records * RECORD_BYTES));
  await first.cutOff();
  return openEngine(volume, place, course, { after: first, open });
}

test("slices of which only some were noted down as stored together do not come into each other's place", async () => {
  // The engine that went complains that it is fenced.
  log.level = "silent";
  await using place = await makeFolder();
  mkdirSync(join(place.path, "objects"));
  await using volume = await makeVolume({ blockSizeKiB: 64, compression: "none", trashDays: 0 });
  const first = await openEngine(volume, place.path, never);
  const files: Ino[] = [];
  for (const letter of LETTERS) {
    const ino = await makeFile(first, letter);
    const bytes = Buffer.alloc(4096, letter);
    await first.data.write(ino, bytes, { offset: 0, append: false, unique: 0n });
    files.push(ino);
  }
  flushUnheard(first);
  // Three for each file, and where the first two are stored.
  await using second = await succeed(volume, place.path, first, { records: 3 * 3 + 2 });
  await second.data.flushAll();
  for (const [at, letter] of LETTERS.entries()) {
    const text = await textAt(second, files[at] as Ino, 0, 4096);
    assert.equal(text, letter.repeat(4096));
  }
});

test("what could not be stored and is about to be deleted is stored anew elsewhere", async () => {
  log.level = "silent";
  await using place = await makeFolder();
  mkdirSync(join(place.path, "objects"));
  await using volume = await makeVolume({ blockSizeKiB: 64, compression: "none", trashDays: 0 });
  // The first put is never answered, the second one fails: the file's second slice waits for the first.
  let puts = 0;
  const first = await openEngine(volume, place.path, (job, real) => {
    if (job.kind === "put" && ++puts === 2) return Promise.reject(new Error("Not now"));
    return never(job, real);
  });
  const ino = await makeFile(first, "a");
  for (const [offset, letter] of [[0, "x"] as const, [1 << 20, "y"] as const]) {
    const bytes = Buffer.alloc(20_000, letter);
    await first.data.write(ino, bytes, { offset, append: false, unique: 0n });
  }
  flushUnheard(first);
  // Each slice begins, gets an extent, grows and is stored; the second one is to be deleted.
  await using second = await succeed(volume, place.path, first, {
    records: 2 * 4 + 1,
    course: (job, real) => (job.kind === "delete" ? sleep(100).then(real) : real()),
  });
  await second.data.drain();
  assert.equal(await textAt(second, ino, 0, 20_000), "x".repeat(20_000));
  assert.equal(await textAt(second, ino, 1 << 20, 20_000), "y".repeat(20_000));
});

test("who has a file open of which something could not be stored is told so by the successor too, nobody else", async () => {
  log.level = "silent";
  await using place = await makeFolder();
  mkdirSync(join(place.path, "objects"));
  await using volume = await makeVolume({ blockSizeKiB: 64, compression: "none", trashDays: 0 });
  const first = await openEngine(volume, place.path, async () => {
    throw new Error("The store is away");
  });
  const [open, closed] = [await makeFile(first, "open"), await makeFile(first, "closed")];
  for (const ino of [open, closed]) {
    await first.data.write(ino, Buffer.from("lost"), { offset: 0, append: false, unique: 0n });
    await assert.rejects(async () => first.data.flush(ino), { code: "EIO" });
  }
  first.data.closed(closed);
  const records = readFileSync(join(first.folder, "journal")).length / RECORD_BYTES;
  await using second = await succeed(volume, place.path, first, { records, open: [open] });
  await assert.rejects(async () => second.data.flush(open), { code: "EIO" });
  await second.data.flush(closed);
  second.data.closed(open);
  await second.data.flush(open);
});

/** Blocks that lie in the store. */
function blocksIn(place: string): string[] {
  const entries = readdirSync(join(place, "objects"), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

test("what was stored together and cannot be stored once more is deleted", async () => {
  await using place = await makeFolder();
  mkdirSync(join(place.path, "objects"));
  await using volume = await makeVolume({ blockSizeKiB: 64, compression: "none", trashDays: 0 });
  log.level = "silent";
  const first = await openEngine(volume, place.path, (job, real) =>
    real().then(() => never(job, real)),
  );
  const files: Ino[] = [];
  for (const letter of LETTERS) {
    const ino = await makeFile(first, letter);
    files.push(ino);
    const bytes = Buffer.alloc(4096, letter);
    await first.data.write(ino, bytes, { offset: 0, append: false, unique: 0n });
  }
  flushUnheard(first);
  await until("they are stored", () => blocksIn(place.path).length === 1);
  await using second = await succeed(volume, place.path, first, {
    ...{ records: 3 * 4, open: files },
    course: (job, real) => (job.kind === "put" ? Promise.reject(new Error("Not now")) : real()),
  });
  await assert.rejects(second.data.drain());
  assert.deepEqual(blocksIn(place.path), []);
});

test("what a commit that is sent once more does not come to refer to is deleted", async () => {
  await using place = await makeFolder();
  mkdirSync(join(place.path, "objects"));
  await using volume = await makeVolume({ blockSizeKiB: 64, compression: "none", trashDays: 0 });
  log.level = "silent";
  const first = await openEngine(volume, place.path, (job, real) => {
    return job.kind === "delete" ? never(job, real) : real();
  });
  const ino = await makeFile(first, "a");
  await first.data.write(ino, Buffer.alloc(4096), { offset: 0, append: false, unique: 0n });
  await volume.redis.del(`i${ino}`);
  flushUnheard(first);
  // It begins, gets an extent, grows, is stored and is about to be committed.
  await using second = await succeed(volume, place.path, first, { records: 5 });
  await second.data.drain();
  assert.deepEqual(blocksIn(place.path), []);
});

/** The successor of an engine that left slices of 10 bytes whose compaction of one chunk was under way. */
async function succeedCompactions(
  volume: TestVolume,
  place: string,
  { ids, course }: { ids: readonly bigint[]; course: Course },
): Promise<Engine> {
  const first = await openEngine(volume, place, never);
  const second = join(place, "second");
  cpSync(first.folder, second, { recursive: true });
  const journal = new DirtyJournal(second);
  for (const id of ids) journal.loose({ id, size: 10, chunk: { ino: 99n, chunkIndex: 3 } });
  journal.activate();
  journal.close();
  await first.cutOff();
  return openEngine(volume, place, course, { after: first });
}

test("what is to be deleted is not forgotten by a successor that ends before it could look at it", async () => {
  await using place = await makeFolder();
  mkdirSync(join(place.path, "objects"));
  await using volume = await makeVolume({ blockSizeKiB: 64, compression: "none", trashDays: 0 });
  log.level = "silent";
  await volume.redis.set("c99_3", "no chunk");
  const parts = { ids: [1n, 2n], course: never };
  await assert.rejects(succeedCompactions(volume, place.path, parts), { code: "EIO" });
  const { loose } = readJournal(join(place.path, "second"));
  assert.deepEqual(
    loose.map(({ id, chunk }) => [id, chunk?.ino]),
    [
      [1n, 99n],
      [2n, 99n],
    ],
  );
});

test("a slice that a compaction made is not deleted by a successor while something refers to it", async () => {
  await using place = await makeFolder();
  mkdirSync(join(place.path, "objects"));
  await using volume = await makeVolume({ blockSizeKiB: 64, compression: "none", trashDays: 0 });
  log.level = "silent";
  // Its chunk was copied to another file before it was written over.
  await volume.redis.hset("sliceRef", "k1_10", 0);
  const deleted: string[] = [];
  const course: Course = async (job) => {
    if (job.kind === "delete") deleted.push(job.key);
    await Promise.resolve();
  };
  await using second = await succeedCompactions(volume, place.path, { ids: [1n, 2n], course });
  await second.data.drain();
  assert.deepEqual(deleted, ["chunks/0/0/2_0_10"]);
});

test("what the store does not delete now is left to whoever cleans up the volume", async () => {
  await using place = await makeFolder();
  mkdirSync(join(place.path, "objects"));
  await using volume = await makeVolume({ blockSizeKiB: 64, compression: "none", trashDays: 0 });
  log.level = "silent";
  let down = true;
  await using engine = await openEngine(volume, place.path, async (_job, real) => {
    await real();
    if (down) throw new Error("Nobody hears of it");
  });
  const ino = await makeFile(engine, "a");
  await engine.data.write(ino, Buffer.alloc(4096), { offset: 0, append: false, unique: 0n });
  await assert.rejects(engine.data.drain());
  down = false;
  const counts = Object.entries(await volume.redis.hgetall("sliceRef"));
  assert.match(counts.join(" "), /^k\d+_4096,-1$/);
  const { meta, deleted } = await volume.open();
  await meta.upkeep.cleanUp();
  assert.deepEqual(
    deleted.map(({ id, size }) => [`k${id}_${size}`, "-1"]),
    counts,
  );
  assert.deepEqual(await volume.redis.hgetall("sliceRef"), {});
});
