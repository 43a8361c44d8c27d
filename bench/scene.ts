import { join } from "node:path";
import { makeFolder } from "../test/support/folder.ts";
import { MINIO_PASSWORD, MINIO_USER, startMinio, type TestMinio } from "../test/support/minio.ts";
import { startRedis, type TestRedis } from "../test/support/redis.ts";
import { RedisCounter } from "./counters/redis.ts";
import { readS3Counts, type S3Counts } from "./counters/s3.ts";
import { openFolder, openOfficial, openOurs, type ClientOptions, type Target } from "./targets.ts";

/** The official client leaves it to the folder's file system when a block is on the disk. */
const UNSYNCED = ["--no-storage-sync"];

export type StorageKind = "minio" | "file";

/** The servers that both clients work on, and what is measured on them. */
export interface Scene extends AsyncDisposable {
  readonly targets: readonly Target[];
  readonly redis?: RedisCounter;
  readonly s3?: () => Promise<S3Counts>;
}

/** Both clients on one Redis and one MinIO, or a folder each, and a plain folder beside them. */
export async function openClients(
  storage: StorageKind,
  env: NodeJS.ProcessEnv = {},
): Promise<Scene> {
  await using opening = new AsyncDisposableStack();
  const server = opening.use(await startRedis());
  const folder = opening.use(await makeFolder());
  const minio =
    storage === "minio"
      ? opening.use(await startMinio({ env: { MINIO_PROMETHEUS_AUTH_TYPE: "public" } }))
      : undefined;
  const options = (database: number, name: string): ClientOptions => ({
    ...{ server, database, env },
    format:
      minio === undefined
        ? ["--storage", "file", "--bucket", `${join(folder.path, name)}/`]
        : onMinio(minio, name),
  });
  const ours = opening.use(await openOurs({ ...options(1, "ours"), mount: UNSYNCED }));
  const official = opening.use(await openOfficial(options(2, "official")));
  const plain = opening.use(await openFolder("plain"));
  const redis = opening.adopt(new RedisCounter(urlOf(server)), (counter) => {
    counter.close();
  });
  const owned = opening.move();
  return {
    targets: [ours, official, plain],
    redis,
    ...(minio === undefined ? {} : { s3: () => readS3Counts(minio.endpoint) }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A file system that is there already, and a plain folder. */
export async function openMountpoint(mountpoint: string): Promise<Scene> {
  await using opening = new AsyncDisposableStack();
  const measured = opening.use(await openFolder("mountpoint", mountpoint));
  const plain = opening.use(await openFolder("plain"));
  const owned = opening.move();
  return { targets: [measured, plain], [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function onMinio(minio: TestMinio, bucket: string): string[] {
  return [
    ...["--storage", "minio", "--bucket", minio.bucket(bucket)],
    ...["--access-key", MINIO_USER, "--secret-key", MINIO_PASSWORD],
  ];
}

function urlOf(server: TestRedis): string {
  return server.url(0);
}
