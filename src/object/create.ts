import { RateLimit } from "../base/rate-limit.ts";
import { EncryptedStorage } from "./encrypted.ts";
import { encryptionOf } from "./encryption.ts";
import { LimitedStorage } from "./limited.ts";
import { PrefixedStorage } from "./prefixed.ts";
import { shardBuckets, ShardedStorage } from "./sharded.ts";
import type { ObjectStorage, PutSettings } from "./storage.ts";

/**
 * What a volume's storage depends on: of its settings, secrets readable, and what this client decides for itself. Can be
 * handed to another thread.
 */
export interface StorageSettings {
  readonly Name: string;
  readonly Storage: string;
  readonly Bucket: string;
  readonly AccessKey: string;
  readonly SecretKey: string;
  readonly SessionToken: string;
  readonly Shards?: number;
  /** Of volumes made before there were tiers. */
  readonly StorageClass?: string;
  readonly Tiers?:
    | Readonly<Record<string, { readonly StorageClass: string; readonly Tag: string }>>
    | null
    | undefined;
  /** PEM, possibly still protected by a passphrase; empty where objects are not encrypted. */
  readonly EncryptKey?: string;
  readonly EncryptAlgo?: string;

  /** Of the encryption key; else `JFS_RSA_PASSPHRASE`. */
  readonly passphrase?: string | undefined;
  /** Puts of `file` storage do not wait until the disk has the bytes. */
  readonly noSync?: boolean | undefined;
  /** Bandwidth, shared by all who are given the same memory. */
  readonly limits?: StorageLimits | undefined;
}

export interface StorageLimits {
  readonly up: SharedArrayBuffer;
  readonly down: SharedArrayBuffer;
}

/** JuiceFS leaves a part of the nominal rate to what travels besides the bytes. */
const RATE_PART = 0.85;

/** Limits of bandwidth in Mbps, 0 for none. They may be changed later, by `setLimits`. */
export function makeLimits(mbps: { up: number; down: number }): StorageLimits {
  const up = new RateLimit(bytesPerSecond(mbps.up)).memory;
  return { up, down: new RateLimit(bytesPerSecond(mbps.down)).memory };
}

export function setLimits(limits: StorageLimits, mbps: { up: number; down: number }): void {
  new RateLimit(0, limits.up).setRate(bytesPerSecond(mbps.up));
  new RateLimit(0, limits.down).setRate(bytesPerSecond(mbps.down));
}

function bytesPerSecond(mbps: number): number {
  return ((mbps * 1e6) / 8) * RATE_PART;
}

/**
 * A volume's storage: drivers for its buckets, spread over them, below the volume's name, encrypted, held to a bandwidth.
 * Loads only the modules that are needed.
 *
 * @throws Error in one sentence
 */
export async function createStorage(settings: StorageSettings): Promise<ObjectStorage> {
  const { Shards: shards = 0, limits } = settings;
  const make = (bucket: string): Promise<ObjectStorage> =>
    createDriver({ ...settings, Bucket: bucket });
  let storage: ObjectStorage;
  if (shards > 1) {
    const [first = "", ...rest] = shardBuckets(settings.Bucket, shards);
    storage = new ShardedStorage([await make(first), ...(await Promise.all(rest.map(make)))]);
  } else {
    storage = await make(settings.Bucket);
  }
  storage = new PrefixedStorage(storage, `${settings.Name}/`);
  const { EncryptKey: key = "", EncryptAlgo: algorithm = "" } = settings;
  if (key !== "") {
    const passphrase = settings.passphrase ?? process.env["JFS_RSA_PASSPHRASE"];
    storage = new EncryptedStorage(storage, encryptionOf(key, algorithm, passphrase));
  }
  if (limits === undefined) return storage;
  const [up, down] = [new RateLimit(0, limits.up), new RateLimit(0, limits.down)];
  return new LimitedStorage(storage, { up, down });
}

async function createDriver(settings: StorageSettings): Promise<ObjectStorage> {
  const credentials = {
    accessKey: settings.AccessKey,
    secretKey: settings.SecretKey,
    sessionToken: settings.SessionToken,
  };
  switch (settings.Storage) {
    case "file": {
      const { FileStorage } = await import("./file.ts");
      return new FileStorage(settings.Bucket, { sync: settings.noSync !== true });
    }
    case "s3": {
      const { S3Storage } = await import("./s3.ts");
      return new S3Storage(settings.Bucket, credentials, putSettings(settings));
    }
    case "minio": {
      const { MinioStorage } = await import("./minio.ts");
      return new MinioStorage(settings.Bucket, orOfMinio(credentials), putSettings(settings));
    }
    default:
      throw new Error(`Cannot use storage "${settings.Storage}": expected file, s3 or minio`);
  }
}

/** Keys that the volume does not have come from the environment (JuiceFS pkg/object/minio.go, 1.4). */
function orOfMinio<Keys extends { accessKey: string; secretKey: string }>(keys: Keys): Keys {
  const { MINIO_ACCESS_KEY = "", MINIO_SECRET_KEY = "" } = process.env;
  return {
    ...keys,
    accessKey: keys.accessKey || MINIO_ACCESS_KEY,
    secretKey: keys.secretKey || MINIO_SECRET_KEY,
  };
}

function putSettings({ Tiers, StorageClass = "" }: StorageSettings): PutSettings {
  const tier = Tiers?.["0"];
  return { storageClass: tier?.StorageClass ?? StorageClass, tag: tier?.Tag ?? "" };
}
