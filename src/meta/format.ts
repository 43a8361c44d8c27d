import { z } from "zod";

const Tier = z.looseObject({
  ID: z.int().nonnegative(),
  StorageClass: z.string().default(""),
  /** `key=value`, or empty. */
  Tag: z.string().default(""),
});

/** Beyond 2^53 the codec hands over a bigint; limits that large need no last digit. */
const count = z
  .union([z.int(), z.bigint()])
  .transform(Number)
  .pipe(z.number().nonnegative())
  .default(0);

/**
 * The volume's settings, as every JuiceFS client reads them from the Redis key `setting`. A field
 * that is absent has Go's zero value, for that is how the Go client leaves it out. Fields we do
 * not know are kept: a newer client may have written them. The order is the one Go writes.
 */
export const Format = z.looseObject({
  Name: z.string(),
  UUID: z.string(),
  Storage: z.string(),
  StorageClass: z.string().default(""),
  /** By id in decimal; absent or null before 1.4, when `StorageClass` was all there was. */
  Tiers: z.record(z.string(), Tier).nullish(),
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
  Capacity: count,
  Inodes: count,
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
  RangerRestUrl: z.string().default(""),
  RangerService: z.string().default(""),
  ChangeLog: z.boolean().default(false),
  /** Seconds. */
  ChangeLogMaxAge: z.int().default(0),
  ChangeLogMaxLines: z.int().default(0),
  KerbConf: z.string().default(""),
});

export type Format = z.infer<typeof Format>;

/** Fields that Go writes even when they are zero; the others are left out then. */
const ALWAYS_WRITTEN = new Set<string>([
  "Name",
  "UUID",
  "Storage",
  "Bucket",
  "BlockSize",
  "TrashDays",
  "EnableACL",
]);

/**
 * Reads the record `setting`.
 *
 * @throws Error in one sentence when it is not one
 */
export function parseFormat(text: string): Format {
  let value: unknown;
  try {
    value = JSON.parse(text, keepLargeNumbers as (key: string, value: unknown) => unknown);
  } catch (cause) {
    throw new Error(`Cannot read the volume's setting: it is not JSON`, { cause });
  }
  const result = Format.safeParse(value);
  if (result.success) return result.data;
  throw new Error(
    `Cannot read the volume's setting: ${z.prettifyError(result.error).replaceAll("\n", " ")}`,
  );
}

/** The record `setting`, as Go's `MarshalIndent` without prefix and indent would write it. */
export function printFormat(format: Format): string {
  const known = Object.keys(Format.shape);
  const unknown = Object.keys(format).filter((name) => !Object.hasOwn(Format.shape, name));
  const members = [...known, ...unknown]
    .filter((name) => !Object.hasOwn(Format.shape, name) || isWritten(name, format[name]))
    .map((name): [string, unknown] => [name, format[name]]);
  return printObject(members);
}

/** The default storage class and tag, wherever this volume keeps them. */
export function defaultTier(format: Format): { storageClass: string; tag: string } {
  const tier = format.Tiers?.["0"];
  return { storageClass: tier?.StorageClass ?? format.StorageClass, tag: tier?.Tag ?? "" };
}

function isWritten(name: string, value: unknown): boolean {
  if (ALWAYS_WRITTEN.has(name)) return true;
  if (name === "Tiers") return value !== undefined;
  return value !== "" && value !== 0 && value !== false;
}

/** A JSON number that a double cannot hold becomes a bigint, so that it is written back digit by digit. */
function keepLargeNumbers(_key: string, value: unknown, context: { source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  return /^-?\d+$/.test(context.source ?? "") ? BigInt(context.source ?? "") : value;
}

function print(value: unknown): string {
  if (typeof value === "string") return printString(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number" && Number.isInteger(value)) return BigInt(value).toString();
  if (Array.isArray(value)) return printList("[", value.map(print), "]");
  if (typeof value === "object" && value !== null) return printObject(Object.entries(value));
  return JSON.stringify(value);
}

function printObject(members: readonly (readonly [string, unknown])[]): string {
  return printList(
    "{",
    members.map(([name, value]) => `${printString(name)}: ${print(value)}`),
    "}",
  );
}

function printList(open: string, items: readonly string[], close: string): string {
  return items.length === 0 ? open + close : `${open}\n${items.join(",\n")}\n${close}`;
}

/** Go escapes what could end a script element in HTML. */
function printString(text: string): string {
  return JSON.stringify(text).replaceAll(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
