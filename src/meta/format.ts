import { z } from "zod";

/**
 * The volume's settings, as every JuiceFS client reads them from the Redis key `setting`. A field
 * that is absent has Go's zero value, for that is how the Go client leaves it out. Fields we do
 * not know are kept: a newer client may have written them.
 */
export const Format = z.looseObject({
  Name: z.string(),
  UUID: z.string(),
  Storage: z.string(),
  StorageClass: z.string().default(""),
  Bucket: z.string(),
  AccessKey: z.string().default(""),
  SecretKey: z.string().default(""),
  SessionToken: z.string().default(""),
  /** KiB. */
  BlockSize: z.int().positive(),
  Compression: z.string().default(""),
  Shards: z.int().nonnegative().default(0),
  HashPrefix: z.boolean().default(false),
  /** Bytes; 0 for no limit. */
  Capacity: z.int().nonnegative().default(0),
  Inodes: z.int().nonnegative().default(0),
  EncryptKey: z.string().default(""),
  EncryptAlgo: z.string().default(""),
  KeyEncrypted: z.boolean().default(false),
  /** Mbps. */
  UploadLimit: z.int().nonnegative().default(0),
  DownloadLimit: z.int().nonnegative().default(0),
  TrashDays: z.int().nonnegative().default(0),
  MetaVersion: z.int().default(0),
  MinClientVersion: z.string().default(""),
  MaxClientVersion: z.string().default(""),
  DirStats: z.boolean().default(false),
  UserGroupQuota: z.boolean().default(false),
  EnableACL: z.boolean().default(false),
  ChangeLog: z.boolean().default(false),
});

export type Format = z.infer<typeof Format>;
