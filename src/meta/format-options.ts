import { randomUUID } from "node:crypto";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { Format } from "./format.ts";
import { compareVersions } from "./version-gate.ts";

/** What may be asked for when a volume is made or changed; absent members keep the default or what is there. */
export interface FormatOptions {
  readonly storage?: string | undefined;
  readonly bucket?: string | undefined;
  readonly accessKey?: string | undefined;
  readonly secretKey?: string | undefined;
  readonly sessionToken?: string | undefined;
  readonly storageClass?: string | undefined;
  /** `key=value` */
  readonly tag?: string | undefined;
  readonly blockSizeKiB?: number | undefined;
  /** none, lz4 or zstd. */
  readonly compression?: string | undefined;
  readonly shards?: number | undefined;
  readonly hashPrefix?: boolean | undefined;
  readonly capacityBytes?: number | undefined;
  readonly inodes?: number | undefined;
  readonly trashDays?: number | undefined;
  /** PEM text of the private key. */
  readonly encryptKey?: string | undefined;
  readonly encryptAlgo?: string | undefined;
  readonly uploadLimitMbps?: number | undefined;
  readonly downloadLimitMbps?: number | undefined;
  readonly enableAcl?: boolean | undefined;
  readonly dirStats?: boolean | undefined;
  readonly minClientVersion?: string | undefined;
  readonly maxClientVersion?: string | undefined;
}

const MIN_BLOCK_KIB = 64;
const MAX_BLOCK_KIB = 16384;
const MAX_SHARDS = 256;
/** ACLs are dropped by clients before this one when they write an attribute record. */
const ACL_CLIENT = "1.2.0-A";

/**
 * The settings of a new volume, secrets readable.
 *
 * @throws RangeError naming the option whose value is wrong
 */
export function newFormat(
  name: string,
  options: FormatOptions,
  uuid: string = randomUUID(),
): Format {
  if (!/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(name)) {
    throw new RangeError(
      `Cannot name a volume "${name}": expected 3 to 63 lower-case letters, digits and dashes, no dash at either end`,
    );
  }
  const storageClass = options.storageClass ?? "";
  const fresh: Format = {
    Name: name,
    UUID: uuid,
    Storage: "file",
    StorageClass: storageClass,
    Tiers: { 0: { ID: 0, StorageClass: storageClass, Tag: options.tag ?? "" } },
    Bucket: defaultBucket(),
    AccessKey: "",
    SecretKey: "",
    SessionToken: "",
    BlockSize: options.blockSizeKiB === undefined ? 4096 : roundBlockSize(options.blockSizeKiB),
    Compression: options.compression ?? "none",
    Shards: options.shards ?? 0,
    HashPrefix: options.hashPrefix ?? false,
    Capacity: 0,
    Inodes: 0,
    EncryptKey: options.encryptKey ?? "",
    EncryptAlgo: options.encryptAlgo ?? "aes256gcm-rsa",
    KeyEncrypted: false,
    UploadLimit: 0,
    DownloadLimit: 0,
    TrashDays: 1,
    MetaVersion: 1,
    MinClientVersion: "1.1.0-A",
    MaxClientVersion: "",
    DirStats: true,
    UserGroupQuota: false,
    EnableACL: false,
    RangerRestUrl: "",
    RangerService: "",
    ChangeLog: false,
    ChangeLogMaxAge: 0,
    ChangeLogMaxLines: 0,
    KerbConf: "",
  };
  return checked(withChangeable(fresh, options));
}

/**
 * The settings of a volume that is there, with what was asked for on top. What can never change is taken
 * over too, so that storing it is refused by name (`saveFormat`).
 */
export function changeFormat(format: Format, options: FormatOptions): Format {
  const changed: Format = {
    ...format,
    BlockSize:
      options.blockSizeKiB === undefined ? format.BlockSize : roundBlockSize(options.blockSizeKiB),
    Compression: options.compression ?? format.Compression,
    Shards: options.shards ?? format.Shards,
    HashPrefix: options.hashPrefix ?? format.HashPrefix,
    ...(options.storageClass === undefined && options.tag === undefined
      ? {}
      : { Tiers: withDefaultTier(format, options) }),
  };
  return checked(withChangeable(changed, options));
}

function withChangeable(format: Format, options: FormatOptions): Format {
  const storage = (options.storage ?? format.Storage).toLowerCase();
  return {
    ...format,
    Storage: storage,
    Bucket: localFolder(storage, options.bucket ?? format.Bucket),
    ...withKeys(format, options),
    Capacity: options.capacityBytes ?? format.Capacity,
    Inodes: options.inodes ?? format.Inodes,
    UploadLimit: options.uploadLimitMbps ?? format.UploadLimit,
    DownloadLimit: options.downloadLimitMbps ?? format.DownloadLimit,
    TrashDays: options.trashDays ?? format.TrashDays,
    DirStats: options.dirStats ?? format.DirStats,
    MaxClientVersion: options.maxClientVersion ?? format.MaxClientVersion,
    ...withAcl(format, options),
  };
}

function withKeys(
  format: Format,
  options: FormatOptions,
): Pick<Format, "AccessKey" | "SecretKey" | "SessionToken"> {
  return {
    AccessKey: options.accessKey ?? format.AccessKey,
    SecretKey: options.secretKey ?? format.SecretKey,
    SessionToken: options.sessionToken ?? format.SessionToken,
  };
}

function withAcl(
  format: Format,
  options: FormatOptions,
): Pick<Format, "EnableACL" | "MinClientVersion"> {
  const least = options.minClientVersion ?? format.MinClientVersion;
  if (options.enableAcl === false && format.EnableACL) {
    throw new RangeError(
      `Cannot turn ACLs off on volume "${format.Name}": files may have them already`,
    );
  }
  const enabled = options.enableAcl ?? format.EnableACL;
  const tooLow = enabled && (least === "" || compareVersions(least, ACL_CLIENT) < 0);
  return { EnableACL: enabled, MinClientVersion: tooLow ? ACL_CLIENT : least };
}

function withDefaultTier(format: Format, options: FormatOptions): Format["Tiers"] {
  const tier = format.Tiers?.["0"];
  return {
    ...format.Tiers,
    0: {
      ...tier,
      ID: 0,
      StorageClass: options.storageClass ?? tier?.StorageClass ?? format.StorageClass,
      Tag: options.tag ?? tier?.Tag ?? "",
    },
  };
}

function wrong(what: string, value: unknown, expected: string): RangeError {
  return new RangeError(`Cannot use ${what} ${JSON.stringify(value)}: expected ${expected}`);
}

function whole(value: number): boolean {
  return Number.isInteger(value) && value >= 0;
}

function checked(format: Format): Format {
  if (!["", "none", "lz4", "zstd"].includes(format.Compression.toLowerCase())) {
    throw wrong("compression", format.Compression, "none, lz4 or zstd");
  }
  if (!["", "aes256gcm-rsa", "chacha20-rsa", "sm4gcm"].includes(format.EncryptAlgo)) {
    throw wrong("encryption", format.EncryptAlgo, "aes256gcm-rsa, chacha20-rsa or sm4gcm");
  }
  if (!whole(format.TrashDays)) throw wrong("trash-days", format.TrashDays, "days, 0 for no trash");
  if (!whole(format.Capacity)) throw wrong("capacity", format.Capacity, "bytes, 0 for no limit");
  if (!whole(format.Inodes)) throw wrong("inodes", format.Inodes, "a number, 0 for no limit");
  if (!whole(format.Shards) || format.Shards > MAX_SHARDS) {
    throw wrong("shards", format.Shards, `0 to ${MAX_SHARDS}`);
  }
  return format;
}

/** Down to a power of two between 64 KiB and 16 MiB, as JuiceFS rounds it. */
function roundBlockSize(sizeKiB: number): number {
  if (!(sizeKiB > 0)) throw new RangeError(`Cannot use block-size ${sizeKiB}: expected KiB`);
  const power = 2 ** Math.floor(Math.log2(sizeKiB));
  return Math.min(Math.max(power, MIN_BLOCK_KIB), MAX_BLOCK_KIB);
}

function defaultBucket(): string {
  return process.getuid?.() === 0 ? "/var/jfs" : join(homedir(), ".juicefs", "local");
}

/** A local folder is stored as an absolute path that ends with a slash. */
function localFolder(storage: string, bucket: string): string {
  if (storage !== "file") return bucket;
  const path = resolve(bucket);
  return path.endsWith("/") ? path : `${path}/`;
}
