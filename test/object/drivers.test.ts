import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { checkStorage, createStorage, requireEmpty } from "../../src/object/create.ts";
import { ObjectMissing, type ObjectStorage } from "../../src/object/storage.ts";
import { makeFolder } from "../support/folder.ts";
import { MINIO_PASSWORD, MINIO_USER, startMinio, type TestMinio } from "../support/minio.ts";

/** Every driver keeps the same promises. */

interface Place extends AsyncDisposable {
  readonly storage: ObjectStorage;
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

async function bucketStorage(driver: string): Promise<Place> {
  const minio = await startMinio();
  const storage = await createStorage(settings(driver, minio.bucket("data")));
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
    const { storage } = place;
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

    assert.equal((await storage.head("chunks/0/0/1_0_300000")).size, 300_000);
    await storage.put("chunks/0/0/2_0_0", []);
    const listed = await Array.fromAsync(storage.list("chunks/"));
    assert.deepEqual(
      listed.map(({ key, size }) => [key, size]),
      [
        ["chunks/0/0/1_0_300000", 300_000],
        ["chunks/0/0/2_0_0", 0],
      ],
    );
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
