import { isAbsolute, join } from "node:path";
import { formatTable, type FormatValues } from "../options/format.ts";
import { mountTable, type MountValues } from "../options/mount.ts";
import { choice, onOff } from "../options/specs.ts";
import { parseOption, withDefaults, type OptionSpec, type OptionTable } from "../options/table.ts";
import { closest } from "./names.ts";

/**
 * The options of a volume: those of the driver, of `format` and of `mount`, under JuiceFS's own names. They are kept as
 * text, as they were given, and read again where they are used: what a later version reads from them is then right too.
 */

const name: OptionSpec<string | undefined> = {
  ...{ group: "VOLUME", value: "name", initial: undefined },
  help: "of the file system; without it the one that metaurl holds, or the docker volume's name",
  parse(given) {
    if (/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(given)) return given;
    throw new RangeError(
      "expected 3 to 63 lower-case letters, digits and dashes, no dash at either end",
    );
  },
};

const metaurl: OptionSpec<string | undefined> = {
  ...{ group: "VOLUME", value: "url", initial: undefined, secret: true },
  help: "where the metadata lies; without it in the driver's own Redis",
  parse(given) {
    if (/^(rediss?:\/\/|unix:\/\/\/)\S+$/.test(given)) return given;
    throw new RangeError(
      "expected redis://[user:password@]host:port/db, rediss://... or unix:///path?db=n",
    );
  },
};

export const driverTable = {
  name,
  metaurl,
  verify: onOff({
    ...{ group: "VOLUME", initial: true, shown: "true" },
    help: "look at metadata and bucket, and make the file system, when the volume is created; else at its first use",
  }),
  "on-remove": choice(["keep", "destroy"], {
    ...{ group: "VOLUME", help: "what docker volume rm does to the data" },
  }),
} satisfies OptionTable;

/** `storage` and `bucket` of `mount` are those of `format` here: a volume has one store. */
const SPECS: ReadonlyMap<string, OptionSpec<unknown>> = new Map(
  Object.entries({ ...mountTable, ...formatTable, ...driverTable }),
);
const SECRETS = [...SPECS].filter(([, spec]) => spec.secret === true).map(([option]) => option);
/** A secret may lie in a file instead: `secret-key-file`. */
const FILES = new Map(SECRETS.map((option) => [`${option}-file`, option]));

export interface VolumeOptions {
  /** By canonical name; without secrets. */
  readonly given: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, string>>;
}

/** @throws RangeError in one sentence about the first option that is wrong */
export function parseVolumeOptions(
  opts: Readonly<Record<string, string>> | null | undefined,
): VolumeOptions {
  const given: Record<string, string> = {};
  const secrets: Record<string, string> = {};
  for (const [written, value] of Object.entries(opts ?? {})) {
    const option = canonical(written);
    if (Object.hasOwn(given, option) || Object.hasOwn(secrets, option)) {
      throw new RangeError(`Cannot use option "${written}": ${option} is given twice`);
    }
    checkOption(option, value, written);
    (SECRETS.includes(option) ? secrets : given)[option] = value;
  }
  checkTogether(given, secrets);
  return { given, secrets };
}

/** What is wrong with options only beside others. */
function checkTogether(
  given: Readonly<Record<string, string>>,
  secrets: Readonly<Record<string, string>>,
): void {
  for (const [file, option] of FILES) {
    if (file in given && option in secrets) {
      throw new RangeError(`Cannot use ${option} and ${file} together: give one of them`);
    }
  }
  if (/\/\/[^/]*@/.test(given["bucket"] ?? "")) {
    throw new RangeError(
      "Cannot use bucket: its URL holds a password; give access-key and secret-key as options of their own",
    );
  }
  if (wantsDestruction(given) && "subdir" in given) {
    throw new RangeError(
      "Cannot use on-remove=destroy with subdir: it would destroy the whole file system, other volumes' directories too",
    );
  }
  checkBucket(given);
}

function checkBucket(given: VolumeOptions["given"]): void {
  const { bucket } = given;
  const folder = isFolderStorage(given);
  if (!folder && bucket === undefined) {
    throw new RangeError(
      `Cannot use storage "${given["storage"]}" without a bucket: add -o bucket=http://host:port/name`,
    );
  }
  // Taken for a folder, a URL would be one below wherever the driver was started.
  if (folder && bucket !== undefined && !isAbsolute(bucket)) {
    const cure = bucket.includes("://")
      ? "add -o storage=minio or -o storage=s3"
      : "expected an absolute path, or a URL and a storage";
    throw new RangeError(`Cannot use bucket "${bucket}" as a folder: ${cure}`);
  }
}

/**
 * Refuses folders for what lies nowhere else where they would go with the managed plugin. `kept`: the folder that stays over
 * its upgrades; undefined: all do.
 *
 * @throws RangeError in one sentence
 */
export function requireKept({ given }: VolumeOptions, kept: string | undefined): void {
  if (kept === undefined) return;
  const objects = isFolderStorage(given) ? [given["bucket"] ?? kept] : [];
  const staged = mountTable.writeback.parse(given["writeback"] ?? "false")
    ? (given["cache-dir"] ?? kept).split(/[:,]/)
    : [];
  for (const [option, folders] of Object.entries({ bucket: objects, "cache-dir": staged })) {
    if (folders.every((folder) => folder === "memory" || isBelow(folder, kept))) continue;
    throw new RangeError(
      `Cannot use ${option} "${given[option]}": an upgrade of the plugin would throw it away; leave it out, or take a folder below ${kept}`,
    );
  }
}

function isFolderStorage(given: VolumeOptions["given"]): boolean {
  return (given["storage"] ?? "file").toLowerCase() === "file";
}

function isBelow(path: string, folder: string): boolean {
  return join("/", path, "/").startsWith(join(folder, "/"));
}

/** As JuiceFS spells it: `--access_key` is `access-key`. */
function canonical(written: string): string {
  return written.replace(/^--?/, "").replaceAll("_", "-");
}

function checkOption(option: string, value: string, written: string): void {
  const spec = SPECS.get(option);
  if (spec === undefined && !FILES.has(option)) throw unknown(option, written);
  const takesText = spec === undefined || (spec.value !== undefined && option !== "o");
  if (takesText && value === "") {
    throw new RangeError(`Cannot use ${option} "": expected a value, as in -o ${option}=...`);
  }
  if (spec !== undefined) parseOption(option, spec, value);
}

function unknown(option: string, written: string): RangeError {
  const meant = closest(option, [...SPECS.keys(), ...FILES.keys()]);
  const cure =
    meant === undefined ? "docs/docker.md lists what there is" : `did you mean "${meant}"?`;
  return new RangeError(`Cannot use option ${JSON.stringify(written)}: there is none; ${cure}`);
}

/** What `format` is given. */
export function formatValues(
  given: Readonly<Record<string, string>>,
  secrets: Readonly<Record<string, string>>,
): FormatValues {
  return parsed(formatTable, { ...given, ...secrets });
}

/** What `mount` is given; the volume's own storage and bucket hold. */
export function mountValues(
  given: Readonly<Record<string, string>>,
  secrets: Readonly<Record<string, string>>,
): MountValues {
  const { storage: _, bucket: __, ...rest } = given;
  return withDefaults(mountTable, parsed(mountTable, { ...rest, ...secrets }));
}

function parsed<Table extends OptionTable>(
  table: Table,
  texts: Readonly<Record<string, string>>,
): Partial<Record<keyof Table, never>> {
  const entries = Object.entries(table)
    .filter(([option]) => option in texts)
    .map(([option, spec]) => [option, parseOption(option, spec, texts[option] ?? "")]);
  return Object.fromEntries(entries) as Partial<Record<keyof Table, never>>;
}

export function verifies({ given }: VolumeOptions): boolean {
  return driverTable.verify.parse(given["verify"] ?? "true");
}

/** Never what shows a part of a file system: an earlier version took both options together. */
export function destroysOnRemove(given: VolumeOptions["given"]): boolean {
  return wantsDestruction(given) && !("subdir" in given);
}

function wantsDestruction(given: VolumeOptions["given"]): boolean {
  return given["on-remove"]?.toLowerCase() === "destroy";
}

/** True when both ask for the same volume. */
export function sameOptions(one: VolumeOptions, other: VolumeOptions): boolean {
  return same(one.given, other.given) && same(one.secrets, other.secrets);
}

function same(
  one: Readonly<Record<string, string>>,
  other: Readonly<Record<string, string>>,
): boolean {
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...names].every((option) => one[option] === other[option]);
}

/** Everything options can be told about, by name; for the table in the docs. */
export function optionSpecs(): ReadonlyMap<string, OptionSpec<unknown>> {
  return SPECS;
}
