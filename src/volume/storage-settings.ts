import type { Format } from "../meta/format.ts";
import {
  makeLimits,
  setLimits,
  type StorageLimits,
  type StorageSettings,
} from "../object/create.ts";
import type { MountValues } from "../options/mount.ts";

/** What a mount may decide about its storage. */
export type StorageValues = Pick<
  MountValues,
  | "storage"
  | "bucket"
  | "storage-class"
  | "tag"
  | "storage-sync"
  | "rsa-passphrase"
  | "upload-limit"
  | "download-limit"
>;

/**
 * A volume's storage as one client uses it: the volume's own settings, and what this client was told on top. `limits`: those
 * that others use already.
 */
export function storageSettings(
  format: Format,
  values: Partial<StorageValues> = {},
  limits = makeLimits(limitsOf(format, values)),
): StorageSettings & { readonly limits: StorageLimits } {
  const tier = format.Tiers?.["0"];
  return {
    ...{ Name: format.Name, Shards: format.Shards },
    ...{ AccessKey: format.AccessKey, SecretKey: format.SecretKey },
    ...{ SessionToken: format.SessionToken, StorageClass: format.StorageClass },
    ...{ EncryptKey: format.EncryptKey, EncryptAlgo: format.EncryptAlgo },
    Storage: values.storage ?? format.Storage,
    Bucket: values.bucket ?? format.Bucket,
    Tiers: {
      ...format.Tiers,
      0: {
        StorageClass: values["storage-class"] ?? tier?.StorageClass ?? format.StorageClass,
        Tag: values.tag ?? tier?.Tag ?? "",
      },
    },
    ...{ passphrase: values["rsa-passphrase"], noSync: values["storage-sync"] === false },
    limits,
  };
}

/** The volume's limits may have been changed: the storages that share `limits` follow. */
export function followLimits(
  limits: StorageLimits,
  format: Format,
  values: Partial<StorageValues>,
): void {
  setLimits(limits, limitsOf(format, values));
}

function limitsOf(format: Format, values: Partial<StorageValues>): { up: number; down: number } {
  return {
    up: values["upload-limit"] ?? format.UploadLimit,
    down: values["download-limit"] ?? format.DownloadLimit,
  };
}
