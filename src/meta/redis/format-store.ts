import type { Redis } from "ioredis";
import { encodeAttr } from "../attr.ts";
import { parseFormat, printFormat, type Format } from "../format.ts";
import { ROOT_INO, TRASH_INO, TYPE_DIRECTORY } from "../limits.ts";
import { hideSecrets, revealSecrets } from "../secrets.ts";
import type { Attr } from "../types.ts";
import { WRITE_GATES } from "../version-gate.ts";
import { bytes } from "./reply.ts";
import { callScript } from "./scripts.ts";

/** The record `setting` in Redis (JuiceFS pkg/meta/redis.go `doInit` and `doLoad`, 1.4). */

/** What can never change once the volume is there. */
const FIXED = ["Name", "BlockSize", "Compression", "Shards", "HashPrefix", "MetaVersion"] as const;

/** The volume's settings with readable secrets, or undefined where the database holds no volume. */
export async function loadFormat(client: Redis): Promise<Format | undefined> {
  const text = await client.get("setting");
  return text === null ? undefined : revealSecrets(parseFormat(text));
}

/** Which of the features that forbid us to write leave keys in this database. */
export async function gatesInUse(client: Redis): Promise<string[]> {
  const found: string[] = [];
  for (const key of Object.keys(WRITE_GATES)) {
    if ((await client.exists(key)) > 0) found.push(key);
  }
  return found;
}

/**
 * Stores the settings, in one step; a new volume gets its root.
 *
 * @throws Error naming what cannot change, or saying that the database is somebody else's
 */
export async function saveFormat(
  client: Redis,
  format: Format,
  { force = false }: { force?: boolean } = {},
): Promise<void> {
  const text = await client.get("setting");
  const old = text === null ? undefined : parseFormat(text);
  if (old !== undefined && !force) refuseChanges(old, format);
  const reply = await callScript(
    client,
    "init",
    ["setting", `i${ROOT_INO}`, `i${TRASH_INO}`],
    [
      printFormat(hideSecrets(format)),
      text ?? "",
      encodeAttr(directory(0o777)),
      format.TrashDays > 0 ? encodeAttr(directory(0o555)) : "",
      old?.DirStats === false && format.DirStats ? 1 : 0,
    ],
  );
  requireDone(format, reply);
}

/** Deletes everything in the volume's database, which holds nothing else. */
export async function eraseMetadata(client: Redis): Promise<void> {
  await client.flushdb();
}

function requireDone(format: Format, reply: unknown): void {
  if (typeof reply === "number") {
    const keys = reply === 1 ? "1 key that is" : `${reply} keys that are`;
    throw new Error(
      `Cannot make volume "${format.Name}": the database holds ${keys} not JuiceFS's; choose an empty database number`,
    );
  }
  if (bytes(reply).toString() !== "done") {
    throw new Error(
      `Cannot store the settings of volume "${format.Name}": somebody else is changing them; try again`,
    );
  }
}

function refuseChanges(old: Format, format: Format): void {
  for (const name of FIXED) {
    const [before, after] = [normal(old[name]), normal(format[name])];
    if (before !== after) {
      throw new Error(
        `Cannot change ${name} of volume "${old.Name}" from ${before} to ${after}: it is fixed when the volume is made`,
      );
    }
  }
}

function normal(value: string | number | boolean): string {
  return value === "" ? "none" : String(value).toLowerCase();
}

function directory(mode: number): Attr {
  const now = { sec: Math.floor(Date.now() / 1000), nsec: 0 };
  return {
    flags: 0,
    type: TYPE_DIRECTORY,
    mode,
    uid: 0,
    gid: 0,
    atime: now,
    mtime: now,
    ctime: now,
    nlink: 2,
    length: 4096,
    rdev: 0,
    parent: ROOT_INO,
    accessAcl: 0,
    defaultAcl: 0,
    tier: 0,
  };
}
