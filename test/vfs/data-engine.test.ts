import assert from "node:assert/strict";
import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { log } from "../../src/base/log.ts";
import { BlockJobs, type JobRunner } from "../../src/chunk/block-jobs.ts";
import { BlockStore } from "../../src/chunk/block-store.ts";
import { Spool } from "../../src/chunk/spool.ts";
import { CHUNK_SIZE, ROOT_INO, TYPE_FILE } from "../../src/meta/limits.ts";
import type { Meta } from "../../src/meta/meta.ts";
import type { Ino } from "../../src/meta/types.ts";
import { DataEngine } from "../../src/vfs/data-engine.ts";
import { NOTHING_JOURNALED, readJournal } from "../../src/vfs/dirty-journal.ts";
import type { ReadHandle } from "../../src/vfs/file-data.ts";
import { makeFolder } from "../support/folder.ts";
import { makeVolume, ROOT_CALLER, type TestVolume } from "../support/meta.ts";
import { startProxy } from "../support/tcp-proxy.ts";
import { Random } from "../support/random.ts";

/** The contents of files as a plain buffer has them, whatever is pending, packed, committed or taken over. */

const BLOCK_BYTES = 64 << 10;
const SEED = Number(process.env["JUICEFS_TEST_SEED"] ?? Date.now() % 1e9);
/** Rounds are repeated for so long, all tests together; without it there is one. */
const SECONDS = Number(process.env["JUICEFS_SOAK_SECONDS"] ?? 0);
const STEPS = 400;

interface Engine {
  readonly meta: Meta;
  readonly data: DataEngine;
  /** Where a successor finds what is not stored. */
  readonly folder: string;
  /** From now on it reaches neither Redis nor objects, as if its process were gone. */
  readonly die: () => void;
}

let engines = 0;

/** Opens an engine, which takes over from one before that went without a word. */
async function openEngine(volume: TestVolume, place: string, after?: Engine): Promise<Engine> {
  const folder = join(place, `engine${++engines}`);
  // What is left is what lay there at that moment: the engine before is still here, and goes on in the folder it had.
  after?.die();
  if (after === undefined) mkdirSync(folder);
  else cpSync(after.folder, folder, { recursive: true });
  const way = await startProxy(volume.server.port);
  const given = after === undefined ? {} : { sid: after.meta.sid };
  const { meta } = await volume.open(given, volume.url.replace(/:\d+\//, `:${way.port}/`));
  const journaled = after === undefined ? NOTHING_JOURNALED : readJournal(folder);
  const spool = new Spool(join(folder, "spool"), { keep: after !== undefined });
  const jobs = await BlockJobs.open({
    storage: { ...meta.format, Bucket: join(place, "objects"), noSync: true },
    ...{ compression: meta.format.Compression, spoolFd: spool.fd, ioRetries: 0 },
    ...{ putTimeoutMs: 10_000, getTimeoutMs: 10_000 },
  });
  let dead = false;
  const runner: JobRunner = {
    run: (job) => (dead ? new Promise(() => undefined) : jobs.run(job)),
    useStorage: (storage) => jobs.useStorage(storage),
    close: () => jobs.close(),
  };
  const store = new BlockStore(runner, {
    ...{ blockSize: BLOCK_BYTES, hashPrefix: false, rangeReads: jobs.rangeReads },
    ...{ maxUploads: 4, maxDownloads: 4, maxDeletes: 4 },
  });
  const options = { bufferBytes: 8 << 20, readaheadMax: 1 << 20, folder, readOnly: false };
  const listener = { committed: () => undefined };
  const data = new DataEngine(meta, { store, spool }, { options, listener });
  await data.restore(journaled);
  return {
    ...{ meta, data, folder },
    die() {
      dead = true;
      void way[Symbol.asyncDispose]();
    },
  };
}

async function makeFile({ meta }: Engine, name: string): Promise<Ino> {
  const node = { type: TYPE_FILE, mode: 0o644, umask: 0 };
  return (await meta.create(ROOT_CALLER, ROOT_INO, Buffer.from(name), node)).ino;
}

/** A file and what must be in it. Only a window of it is used, at a chunk's border. */
interface Expected {
  readonly ino: Ino;
  readonly contents: Buffer;
  length: number;
  handle: ReadHandle;
}

const WINDOW = 600 << 10;
const START = CHUNK_SIZE - 300 * 1024;

async function check({ data }: Engine, file: Expected, from: number, size: number): Promise<void> {
  const views = await data.read(file.handle, START + from, size, START + file.length);
  const expected = file.contents.subarray(from, Math.min(from + size, file.length));
  assert.ok(Buffer.concat(views).equals(expected), `${size} bytes at ${from} of ${file.ino}`);
}

async function round(seed: number, compression: string): Promise<void> {
  const random = new Random(seed);
  await using folder = await makeFolder();
  mkdirSync(join(folder.path, "objects"));
  await using volume = await makeVolume({
    ...{ blockSizeKiB: BLOCK_BYTES / 1024, compression, trashDays: 0 },
  });
  // Engines that went without a word are still here, and complain that they are fenced.
  log.level = "silent";
  let engine = await openEngine(volume, folder.path);
  // Its way to Redis would keep the test from ending.
  await using last = new AsyncDisposableStack();
  last.defer(async () => {
    await engine.meta.close();
    engine.die();
  });
  const files: Expected[] = [];
  for (const name of ["a", "b", "c"]) {
    const ino = await makeFile(engine, name);
    engine.data.opened(ino);
    const handle = engine.data.openHandle(ino);
    files.push({ ino, contents: Buffer.alloc(WINDOW), length: 0, handle });
  }
  for (let step = 0; step < STEPS; step++) {
    const file = files[random.below(files.length)] as Expected;
    const at = random.below(WINDOW);
    const size = Math.min(random.size(200_000), WINDOW - at);
    const what = random.below(100);
    if (what < 55) {
      const bytes = random.bytes(size);
      bytes.copy(file.contents, at);
      file.length = Math.max(file.length, at + size);
      const { ino } = file;
      await engine.data.write(ino, bytes, { offset: START + at, append: false, unique: 0n });
    } else if (what < 85) {
      await check(engine, file, at, size);
    } else if (what < 92) {
      await engine.data.flush(file.ino);
    } else if (what < 96) {
      await engine.data.flush(file.ino);
      await engine.meta.truncate(ROOT_CALLER, file.ino, START + at);
      engine.data.invalidate(file.ino);
      file.contents.fill(0, at);
      file.length = at;
    } else {
      engine = await openEngine(volume, folder.path, engine);
      for (const one of files) {
        engine.data.opened(one.ino);
        one.handle = engine.data.openHandle(one.ino);
      }
    }
  }
  for (const file of files) await check(engine, file, 0, WINDOW);
  await engine.data.drain();
  for (const file of files) {
    await check(engine, file, 0, WINDOW);
    const { length } = await engine.meta.getattr(file.ino);
    assert.equal(length, file.length === 0 && length === 0 ? 0 : START + file.length);
  }
}

for (const compression of ["none", "zstd"]) {
  test(`any writes, reads, flushes, truncations and deaths leave what a buffer has (${compression})`, async (t) => {
    const end = Date.now() + (SECONDS * 1000) / 2;
    let seed = SEED;
    do {
      t.diagnostic(`seed ${seed}`);
      await round(seed++, compression);
    } while (Date.now() < end);
  });
}

test("what was written is stored after seconds, also where the clock was set back", async (t) => {
  await using folder = await makeFolder();
  mkdirSync(join(folder.path, "objects"));
  await using volume = await makeVolume({ blockSizeKiB: BLOCK_BYTES / 1024 });
  const engine = await openEngine(volume, folder.path);
  const ino = await makeFile(engine, "f");
  await engine.data.write(ino, Buffer.alloc(1000, 1), { offset: 0, append: false, unique: 2n });
  const right = Date.now();
  const clock = t.mock.method(Date, "now", () => right - 3_600_000);
  const length = async (): Promise<number> => (await engine.meta.getattr(ino)).length;
  const end = performance.now() + 15_000;
  while ((await length()) === 0 && performance.now() < end) await sleep(100);
  clock.mock.restore();
  assert.equal(await length(), 1000);
  await engine.data.drain();
  await engine.data.close();
  engine.die();
});
