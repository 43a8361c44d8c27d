import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdir, readdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { Client } from "minio";
import { checkStorage, requireEmpty } from "../../src/object/check.ts";
import { createStorage, type StorageSettings } from "../../src/object/create.ts";
import { ObjectMissing, type ObjectStorage } from "../../src/object/storage.ts";
import { makeFolder } from "../support/folder.ts";
import { MINIO_PASSWORD, MINIO_USER, startMinio, type TestMinio } from "../support/minio.ts";

/** Every driver keeps the same promises. */

interface Place extends AsyncDisposable {
  readonly storage: ObjectStorage;
  /** Bytes that an object is longer where it lies. */
  readonly overhead?: number;
}

function settings(storage: string, bucket: string, secret = MINIO_PASSWORD) {
  return {
    ...{ Name: "vol", Storage: storage, Bucket: bucket },
    ...{ AccessKey: MINIO_USER, SecretKey: secret, SessionToken: "" },
  };
}

async function fileStorage(): Promise<Place> {
  const folder = await makeFolder();
  const storage = await createStorage(settings("file", folder.path));
  return { storage, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

async function encryptedStorage(): Promise<Place> {
  const folder = await makeFolder();
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const EncryptKey = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const storage = await createStorage({ ...settings("file", folder.path), EncryptKey });
  return { storage, overhead: 287, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

async function bucketStorage(
  driver: string,
  bucket = "data",
  more: Partial<StorageSettings> = {},
): Promise<Place> {
  const minio = await startMinio();
  const storage = await createStorage({ ...settings(driver, minio.bucket(bucket)), ...more });
  return {
    storage,
    async [Symbol.asyncDispose]() {
      await storage.close();
      await minio[Symbol.asyncDispose]();
    },
  };
}

const drivers: Record<string, () => Promise<Place>> = {
  file: fileStorage,
  "encrypted file": encryptedStorage,
  "s3 in shards": () => bucketStorage("s3", "data-%d", { Shards: 3 }),
  s3: () => bucketStorage("s3"),
  minio: () => bucketStorage("minio"),
};

/** Bytes as the data path has them: in shared memory. */
function shared(data: Buffer): Uint8Array {
  const memory = new Uint8Array(new SharedArrayBuffer(data.length));
  memory.set(data);
  return memory;
}

for (const [name, start] of Object.entries(drivers)) {
  test(`${name}: an object comes back whole, in ranges, in parts, and goes`, async () => {
    await using place = await start();
    const { storage, overhead = 0 } = place;
    await storage.prepare();
    await storage.prepare();
    const data = randomBytes(300_000);
    await storage.put("chunks/0/0/1_0_300000", [
      shared(data.subarray(0, 7)),
      shared(data.subarray(7)),
    ]);

    const whole = shared(Buffer.alloc(300_100));
    assert.equal(await storage.get("chunks/0/0/1_0_300000", whole), 300_000);
    assert.deepEqual(Buffer.from(whole.subarray(0, 300_000)), data);

    const part = Buffer.alloc(1000);
    assert.equal(
      await storage.get("chunks/0/0/1_0_300000", part, { offset: 299_500, length: 1000 }),
      500,
    );
    assert.deepEqual(part.subarray(0, 500), data.subarray(299_500));

    assert.equal((await storage.head("chunks/0/0/1_0_300000")).size, 300_000 + overhead);
    await storage.put("chunks/0/0/2_0_0", []);
    const listed = await Array.fromAsync(storage.list("chunks/"));
    assert.deepEqual(
      listed.map(({ key, size }) => [key, size]),
      [
        ["chunks/0/0/1_0_300000", 300_000 + overhead],
        ["chunks/0/0/2_0_0", overhead],
      ],
    );
    assert.equal(
      await storage.get("chunks/0/0/1_0_300000", part, { offset: 300_000, length: 1000 }),
      0,
    );
    await assert.rejects(storage.get("chunks/0/0/1_0_300000", part), /chunks\/0\/0\/1_0_300000/);
    await storage.delete("chunks/0/0/1_0_300000");
    await storage.delete("chunks/0/0/1_0_300000");
    await assert.rejects(storage.get("chunks/0/0/1_0_300000", whole), ObjectMissing);
    await assert.rejects(storage.head("chunks/0/0/1_0_300000"), ObjectMissing);
  });

  test(`${name}: a new volume's place is made, tried and must be empty`, async () => {
    await using place = await start();
    await checkStorage(place.storage);
    await requireEmpty(place.storage);
    await place.storage.put("chunks/0/0/1_0_1", [Buffer.from("x")]);
    await assert.rejects(
      requireEmpty(place.storage),
      /not empty \(it holds "chunks\/0\/0\/1_0_1"\)/,
    );
  });
}

/** An object as MinIO's own client sees it, past the code under test. */
function bareClient(minio: TestMinio): Client {
  const address = { endPoint: "127.0.0.1", port: minio.port, useSSL: false, region: "us-east-1" };
  return new Client({ ...address, accessKey: MINIO_USER, secretKey: MINIO_PASSWORD });
}

test("objects carry checksum, class and tag; those that were damaged since are refused by name", async () => {
  await using minio = await startMinio();
  const bare = bareClient(minio);
  const Tiers = { 0: { StorageClass: "REDUCED_REDUNDANCY", Tag: "team=blue" } };
  for (const driver of ["s3", "minio"]) {
    const key = `${driver}/chunks/0/0/1_0_5`;
    const plain = { ...settings(driver, minio.bucket("data")), Name: driver };
    const storage = await createStorage({ ...plain, Tiers });
    await storage.prepare();
    await storage.put("chunks/0/0/1_0_5", [Buffer.from("hel"), Buffer.from("lo")]);
    const { metaData } = await bare.statObject("data", key);
    assert.equal(metaData["crc32c"], "2591144780");
    assert.equal(metaData["content-type"], "application/octet-stream");
    const answer = await fetch(await bare.presignedUrl("GET", "data", key));
    assert.equal(answer.headers.get("x-amz-storage-class"), "REDUCED_REDUNDANCY");
    assert.deepEqual((await bare.getObjectTagging("data", key)).flat(), [
      { Key: "team", Value: "blue" },
    ]);

    await bare.putObject("data", key, "hullo", 5, { "x-amz-meta-crc32c": "2591144780" });
    const into = Buffer.alloc(5);
    await assert.rejects(
      storage.get("chunks/0/0/1_0_5", into),
      /Cannot read object ".*1_0_5": it is damaged, its checksum is \d+ instead of 2591144780/,
    );
    assert.equal(await storage.get("chunks/0/0/1_0_5", into, { offset: 1, length: 4 }), 4);
    await storage.close();

    const Bucket = `${minio.bucket("data")}?disable-checksum=true`;
    const trusting = await createStorage({ ...plain, Bucket });
    assert.equal(await trusting.get("chunks/0/0/1_0_5", into), 5);
    await trusting.put("chunks/0/0/2_0_5", [into]);
    const without = await bare.statObject("data", `${driver}/chunks/0/0/2_0_5`);
    assert.equal(without.metaData["crc32c"], undefined);
    await trusting.close();
  }
});

test("file: what a writer left half-written is no object, and goes when it is old", async () => {
  await using folder = await makeFolder();
  const storage = await createStorage(settings("file", folder.path));
  await storage.put("chunks/0/0/1_0_1", [Buffer.from("x")]);
  const chunks = join(folder.path, "vol/chunks/0/0");
  await mkdir(join(chunks, "deeper"));
  for (const name of [".jfs.2_0_1.tmp.aa", "deeper/.jfs.3_0_1.tmp.bb"]) {
    await writeFile(join(chunks, name), "half");
  }
  await utimes(join(chunks, ".jfs.2_0_1.tmp.aa"), new Date(0), new Date(0));
  // Another volume lies in the same folder, and is written.
  await mkdir(join(folder.path, "other/chunks"), { recursive: true });
  await writeFile(join(folder.path, "other/chunks/.jfs.9_0_1.tmp.0"), "half");
  const keys = async (): Promise<string[]> =>
    (await Array.fromAsync(storage.list(""))).map(({ key }) => key);
  assert.deepEqual(await keys(), ["chunks/0/0/1_0_1"]);
  assert.equal(await storage.removeAbandoned(new Date(Date.now() - 3_600_000)), 1);
  assert.deepEqual(await readdir(chunks), ["1_0_1", "deeper"]);
  assert.equal(await storage.removeAbandoned(new Date(Date.now() + 1000)), 1);
  assert.deepEqual(await keys(), ["chunks/0/0/1_0_1"]);
  assert.deepEqual(await readdir(join(folder.path, "other/chunks")), [".jfs.9_0_1.tmp.0"]);
});

test("file: many puts at once, into folders that are new, all arrive", async () => {
  await using folder = await makeFolder();
  const storage = await createStorage(settings("file", folder.path));
  const keys = Array.from({ length: 60 }, (_, index) => `chunks/0/${index % 5}/${index}_0_1`);
  await Promise.all(keys.map((key) => storage.put(key, [Buffer.from("x")])));
  assert.equal((await Array.fromAsync(storage.list("chunks/"))).length, 60);
});

async function refusedBy(minio: TestMinio, driver: string): Promise<string> {
  const storage = await createStorage(settings(driver, minio.bucket("data"), "wrong-secret"));
  const error = await checkStorage(storage).catch((found: unknown) => found);
  await storage.close();
  return String(error);
}

test("a wrong secret key is told in one sentence that does not hold it", async () => {
  await using minio = await startMinio();
  for (const driver of ["s3", "minio"]) {
    const text = await refusedBy(minio, driver);
    assert.match(text, /^Error: Cannot use .*(secret key is wrong|access denied)/);
    assert.doesNotMatch(text, /wrong-secret|\n/);
  }
});

test("minio: keys that a volume does not have come from the environment", async () => {
  await using minio = await startMinio();
  const none = { ...settings("minio", minio.bucket("data")), AccessKey: "", SecretKey: "" };
  const { MINIO_ACCESS_KEY, MINIO_SECRET_KEY } = process.env;
  Object.assign(process.env, { MINIO_ACCESS_KEY: MINIO_USER, MINIO_SECRET_KEY: MINIO_PASSWORD });
  try {
    const storage = await createStorage(none);
    await storage.prepare();
    await storage.put("a", [shared(Buffer.from("b"))]);
    await storage.close();
  } finally {
    for (const [name, value] of Object.entries({ MINIO_ACCESS_KEY, MINIO_SECRET_KEY })) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
  }
});
