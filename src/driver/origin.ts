import { createHash } from "node:crypto";
import { join } from "node:path";
import type { MountConfig } from "../mount/messages.ts";
import type { FormatJob } from "../volume/job.ts";
import type { EmbeddedRedis } from "./embedded-redis.ts";
import { formatValues, mountValues, type VolumeOptions } from "./options.ts";
import { withSecretFiles, type Secrets } from "./secrets.ts";

/** Where a volume's metadata and data lie: where its options say, else in what the driver has of its own. */
export interface Origin {
  readonly job: FormatJob;
  readonly mount: Omit<MountConfig, "mountpoint">;
  /** Every secret of it, to be kept out of what is said. */
  readonly secrets: Secrets;
}

export interface OwnStores {
  readonly redis: EmbeddedRedis;
  /** Where objects lie of volumes without a bucket. */
  readonly objects: string;
  /** Where relative `-file` options look. */
  readonly secretFiles: string;
}

/** @param database of the driver's own Redis; undefined where the volume has a metaurl @throws Error in one sentence */
export async function originOf(
  name: string,
  options: VolumeOptions,
  database: number | undefined,
  own: OwnStores,
): Promise<Origin> {
  const secrets = withSecretFiles(options, own.secretFiles);
  if (database !== undefined) await own.redis.start();
  const metaUrl = secrets["metaurl"] ?? own.redis.url(database ?? 0);
  const values = formatValues(options.given, secrets);
  return {
    job: {
      ...{ job: "format", metaUrl, name: options.given["name"], fallbackName: volumeName(name) },
      values: { ...values, bucket: values.bucket ?? ownBucket(name, values.storage, own) },
    },
    mount: { metaUrl, values: mountValues(options.given, secrets) },
    secrets,
  };
}

function ownBucket(name: string, storage: string | undefined, own: OwnStores): string | undefined {
  return (storage ?? "file") === "file" ? join(own.objects, name) : undefined;
}

const NAME_MAX = 63;
const HASH = 8;

/** A name for the file system, from the docker volume's: the same where it can be, else with a mark that keeps it apart. */
export function volumeName(name: string): string {
  if (/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(name)) return name;
  const mark = createHash("sha256").update(name).digest("hex").slice(0, HASH);
  const plain = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  const start = plain.slice(0, NAME_MAX - HASH - 1).replace(/-+$/, "");
  return `${start}-${mark}`;
}
