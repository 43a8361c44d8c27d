import { randomBytes } from "node:crypto";
import pLimit from "p-limit";
import { prepareStorage } from "../object/check.ts";
import { createStorage, type StorageSettings } from "../object/create.ts";
import { ObjectMissing, reasonOf, type ObjectStorage } from "../object/storage.ts";
import { silent, type JobOptions } from "./progress.ts";

/** Tries what a storage promises, then measures it (JuiceFS cmd/objbench.go, 1.4). Leaves nothing behind. */

export interface ObjbenchRequest {
  readonly storage: Omit<StorageSettings, "Name">;
  readonly blockSize: number;
  readonly bigBytes: number;
  readonly smallBytes: number;
  readonly smallObjects: number;
  readonly threads: number;
  readonly skipFunctional: boolean;
}

export interface ObjbenchResult {
  /** "pass", or what went wrong. */
  readonly functional?: Readonly<Record<string, string>> | undefined;
  readonly performance: readonly Measured[];
}

export interface Measured {
  readonly work: string;
  readonly objects: number;
  readonly perSecond: number;
  readonly mibPerSecond?: number | undefined;
  /** Of one request, in milliseconds. */
  readonly averageMs: number;
}

/** @throws Error in one sentence when the storage cannot be used at all */
export async function benchObjects(
  request: ObjbenchRequest,
  options: JobOptions = {},
): Promise<ObjbenchResult> {
  const Name = `__juicefs_benchmark_${Date.now()}__`;
  const storage = await createStorage({ ...request.storage, Name });
  try {
    await prepareStorage(storage);
    try {
      const functional = request.skipFunctional ? undefined : await tryAll(storage, options);
      return { functional, performance: await measureAll(storage, request, options) };
    } finally {
      for await (const { key } of storage.list("")) await storage.delete(key);
    }
  } finally {
    await storage.close();
  }
}

async function tryAll(
  storage: ObjectStorage,
  { progress = silent, signal }: JobOptions,
): Promise<Record<string, string>> {
  const results: Record<string, string> = {};
  const counter = progress.count("promises tried", Object.keys(PROMISES).length);
  for (const [name, promise] of Object.entries(PROMISES)) {
    signal?.throwIfAborted();
    try {
      await promise(storage);
      results[name] = "pass";
    } catch (error) {
      results[name] = reasonOf(error);
    }
    counter.add();
  }
  counter.end();
  return results;
}

function expect(kept: boolean, otherwise: string): void {
  if (!kept) throw new Error(otherwise);
}

async function read(
  storage: ObjectStorage,
  key: string,
  room: number,
  range?: { offset: number; length: number },
): Promise<string> {
  const into = Buffer.alloc(room);
  return into.toString("utf8", 0, await storage.get(key, into, range));
}

const PROMISES: Readonly<Record<string, (storage: ObjectStorage) => Promise<void>>> = {
  "put and get an object": async (storage) => {
    await storage.put("promise/a", [Buffer.from("hello "), Buffer.from("world")]);
    expect((await read(storage, "promise/a", 20)) === "hello world", "it gives back other bytes");
  },
  "put an object again": async (storage) => {
    await storage.put("promise/a", [Buffer.from("again")]);
    expect((await read(storage, "promise/a", 20)) === "again", "it gives back the old bytes");
  },
  "put an empty object": async (storage) => {
    await storage.put("promise/empty", []);
    expect((await storage.head("promise/empty")).size === 0, "it is not empty");
  },
  "get a part of an object": async (storage) => {
    await storage.put("promise/b", [Buffer.from("0123456789")]);
    const range = { offset: 3, length: 4 };
    expect((await read(storage, "promise/b", 4, range)) === "3456", "it gives another part");
    const end = { offset: 8, length: 4 };
    expect((await read(storage, "promise/b", 4, end)) === "89", "it gives another end");
  },
  "ask for an object": async (storage) => {
    const { size, modified } = await storage.head("promise/b");
    expect(size >= 10, `it says ${size} bytes`);
    const age = Math.abs(Date.now() - modified.getTime());
    expect(age < 5 * 60_000, `its clock is ${Math.round(age / 1000)} seconds away from ours`);
  },
  "list objects in the order of keys": async (storage) => {
    const keys = (await Array.fromAsync(storage.list("promise/"))).map(({ key }) => key);
    expect(keys.join() === "promise/a,promise/b,promise/empty", `it lists ${keys.join()}`);
  },
  "tell that an object is missing": async (storage) => {
    const error: unknown = await storage.head("promise/none").catch((found: unknown) => found);
    expect(error instanceof ObjectMissing, "it says something else");
  },
  "delete an object, twice": async (storage) => {
    await storage.delete("promise/a");
    await storage.delete("promise/a");
    const error: unknown = await storage.head("promise/a").catch((found: unknown) => found);
    expect(error instanceof ObjectMissing, "it is still there");
  },
};

async function measureAll(
  storage: ObjectStorage,
  request: ObjbenchRequest,
  options: JobOptions,
): Promise<Measured[]> {
  const { blockSize, bigBytes, smallBytes, smallObjects } = request;
  const big = keysOf("big", Math.max(1, Math.ceil(bigBytes / blockSize)));
  const small = keysOf("small", smallObjects);
  const bench = new Bench(storage, request.threads, options);
  return [
    await bench.put("upload blocks", big, blockSize),
    await bench.get("download blocks", big, blockSize),
    await bench.put("put small objects", small, smallBytes),
    await bench.get("get small objects", small, smallBytes),
    await bench.list("list objects", big.length + small.length),
    await bench.each("ask for objects", small, (key) => storage.head(key)),
    await bench.each("delete objects", [...big, ...small], (key) => storage.delete(key)),
  ];
}

function keysOf(kind: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `bench/${kind}-${index}`);
}

class Bench {
  readonly #storage: ObjectStorage;
  readonly #threads: number;
  readonly #options: JobOptions;

  constructor(storage: ObjectStorage, threads: number, options: JobOptions) {
    this.#storage = storage;
    this.#threads = threads;
    this.#options = options;
  }

  put(work: string, keys: readonly string[], size: number): Promise<Measured> {
    const data = randomBytes(size);
    return this.each(work, keys, (key) => this.#storage.put(key, [data]), size);
  }

  get(work: string, keys: readonly string[], size: number): Promise<Measured> {
    const get = (key: string): Promise<number> => this.#storage.get(key, Buffer.allocUnsafe(size));
    return this.each(work, keys, get, size);
  }

  async list(work: string, expected: number): Promise<Measured> {
    const started = performance.now();
    const listed = await Array.fromAsync(this.#storage.list("bench/"));
    if (listed.length !== expected) {
      throw new Error(`It lists ${listed.length} objects of ${expected} that were put`);
    }
    return measured(work, { objects: expected, ms: performance.now() - started, busyMs: 0 });
  }

  async each(
    work: string,
    keys: readonly string[],
    one: (key: string) => Promise<unknown>,
    size?: number,
  ): Promise<Measured> {
    const { progress = silent, signal } = this.#options;
    const counter = progress.count(work, keys.length);
    let busyMs = 0;
    const started = performance.now();
    await pLimit(this.#threads).map(keys, async (key) => {
      signal?.throwIfAborted();
      const begun = performance.now();
      await one(key);
      busyMs += performance.now() - begun;
      counter.add(1, size ?? 0);
    });
    const ms = performance.now() - started;
    counter.end();
    return measured(work, { objects: keys.length, ms, busyMs, size });
  }
}

function measured(
  work: string,
  sum: { objects: number; ms: number; busyMs: number; size?: number | undefined },
): Measured {
  const perSecond = (sum.objects * 1000) / Math.max(sum.ms, 0.001);
  return {
    ...{ work, objects: sum.objects, perSecond: round(perSecond) },
    mibPerSecond: sum.size === undefined ? undefined : round((perSecond * sum.size) / 2 ** 20),
    averageMs: round((sum.busyMs > 0 ? sum.busyMs : sum.ms) / Math.max(sum.objects, 1)),
  };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
