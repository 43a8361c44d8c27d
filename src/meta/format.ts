/** One storage class that a volume offers. */
export interface Tier {
  ID: number;
  StorageClass: string;
  /** `key=value`, or empty. */
  Tag: string;
  [unknown: string]: unknown;
}

/**
 * The volume's settings, as every JuiceFS client reads them from the Redis key `setting`. Fields we do not know are kept: a
 * newer client may have written them.
 */
export interface Format {
  Name: string;
  UUID: string;
  Storage: string;
  StorageClass: string;
  /** By id in decimal; absent or null before 1.4, when `StorageClass` was all there was. */
  Tiers?: Record<string, Tier> | null | undefined;
  Bucket: string;
  AccessKey: string;
  SecretKey: string;
  SessionToken: string;
  /** KiB. */
  BlockSize: number;
  Compression: string;
  Shards: number;
  HashPrefix: boolean;
  /** Bytes; 0 for no limit. */
  Capacity: number;
  Inodes: number;
  EncryptKey: string;
  EncryptAlgo: string;
  KeyEncrypted: boolean;
  /** Mbps. */
  UploadLimit: number;
  DownloadLimit: number;
  TrashDays: number;
  MetaVersion: number;
  MinClientVersion: string;
  MaxClientVersion: string;
  DirStats: boolean;
  UserGroupQuota: boolean;
  EnableACL: boolean;
  RangerRestUrl: string;
  RangerService: string;
  ChangeLog: boolean;
  /** Seconds. */
  ChangeLogMaxAge: number;
  ChangeLogMaxLines: number;
  KerbConf: string;
  [unknown: string]: unknown;
}

/** How a field is read. */
interface Field {
  readonly kind: string;
  /** Undefined where it is not of that kind. */
  readonly read: (value: unknown) => unknown;
  /** What an absent one means: Go's zero value, for that is how the Go client leaves it out. */
  readonly zero?: unknown;
  readonly needed?: boolean;
}

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value);
const isText = (value: unknown): value is string => typeof value === "string";

const string: Field = {
  kind: "text",
  read: (value) => (isText(value) ? value : undefined),
  zero: "",
};
const flag: Field = {
  kind: "true or false",
  read: (value) => (typeof value === "boolean" ? value : undefined),
  zero: false,
};
const integer: Field = {
  kind: "a whole number",
  read: (value) => (isWhole(value) ? value : undefined),
  zero: 0,
};
const natural: Field = {
  kind: "a whole number that is not negative",
  read: (value) => (isWhole(value) && value >= 0 ? value : undefined),
  zero: 0,
};
/** Beyond 2^53 the codec hands over a bigint; limits that large need no last digit. */
const limit: Field = {
  kind: natural.kind,
  read: (value) =>
    natural.read(value) ?? (typeof value === "bigint" && value >= 0n ? Number(value) : undefined),
  zero: 0,
};
const size: Field = {
  kind: "a whole number above 0",
  read: (value) => (isWhole(value) && value > 0 ? value : undefined),
};
const tiers: Field = { kind: "an object of storage classes", read: readTiers };

/** In the order that Go writes. */
const FIELDS: Readonly<Record<string, Field>> = {
  Name: { ...string, needed: true },
  UUID: { ...string, needed: true },
  Storage: { ...string, needed: true },
  StorageClass: string,
  Tiers: tiers,
  Bucket: { ...string, needed: true },
  AccessKey: string,
  SecretKey: string,
  SessionToken: string,
  BlockSize: { ...size, needed: true },
  Compression: string,
  Shards: natural,
  HashPrefix: flag,
  Capacity: limit,
  Inodes: limit,
  EncryptKey: string,
  EncryptAlgo: string,
  KeyEncrypted: flag,
  UploadLimit: natural,
  DownloadLimit: natural,
  TrashDays: natural,
  MetaVersion: integer,
  MinClientVersion: string,
  MaxClientVersion: string,
  DirStats: flag,
  UserGroupQuota: flag,
  EnableACL: flag,
  RangerRestUrl: string,
  RangerService: string,
  ChangeLog: flag,
  ChangeLogMaxAge: integer,
  ChangeLogMaxLines: integer,
  KerbConf: string,
};

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
  if (!isObject(value)) throw new Error(`Cannot read the volume's setting: it is not an object`);
  const format: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(FIELDS)) {
    const read = readField(name, field, value[name]);
    if (read !== undefined) format[name] = read;
  }
  for (const [name, unknown] of Object.entries(value)) {
    if (!Object.hasOwn(FIELDS, name)) format[name] = unknown;
  }
  return format as Format;
}

/** Values stay out of the message: some of them are secrets. */
function readField(name: string, { kind, read, zero, needed }: Field, value: unknown): unknown {
  if (value === undefined && needed === true) {
    throw new Error(`Cannot read the volume's setting: it has no ${name}`);
  }
  if (value === undefined || (value === null && zero !== undefined)) return zero;
  const result = read(value);
  if (result !== undefined) return result;
  throw new Error(`Cannot read the volume's setting: its ${name} is not ${kind}`);
}

function readTiers(value: unknown): Record<string, Tier> | null | undefined {
  if (value === null) return null;
  if (!isObject(value)) return undefined;
  const read = Object.entries(value).map(([id, tier]) => [id, readTier(tier)] as const);
  if (read.some(([, tier]) => tier === undefined)) return undefined;
  return Object.fromEntries(read) as Record<string, Tier>;
}

function readTier(value: unknown): Tier | undefined {
  if (!isObject(value)) return undefined;
  const { ID, StorageClass = "", Tag = "", ...unknown } = value;
  if (!isWhole(ID) || ID < 0 || !isText(StorageClass) || !isText(Tag)) return undefined;
  return { ID, StorageClass, Tag, ...unknown };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The record `setting`, as Go's `MarshalIndent` without prefix and indent would write it. */
export function printFormat(format: Format): string {
  const unknown = Object.keys(format).filter((name) => !Object.hasOwn(FIELDS, name));
  const members = [...Object.keys(FIELDS), ...unknown]
    .filter((name) => !Object.hasOwn(FIELDS, name) || isWritten(name, format[name]))
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
