import type { Redis } from "ioredis";
import { decodeAttr } from "../attr.ts";
import { decodeDentry } from "../dentry.ts";
import { ROOT_INO, TRASH_INO } from "../limits.ts";
import type { Ino } from "../types.ts";

/** Names of inodes, found by walking up: for messages, since each step may look through a whole directory. */

const FIELDS_AT_ONCE = 1000;
const DEPTH_MAX = 1000;

/** All paths that lead to an inode, from the root; those in the trash too. Empty where it has no name. */
export async function pathsOf(client: Redis, ino: Ino): Promise<string[]> {
  if (ino === ROOT_INO) return ["/"];
  if (ino === TRASH_INO) return ["/.trash"];
  const paths: string[] = [];
  for (const parent of await parentsOf(client, ino)) {
    const folder = await folderPath(client, parent);
    for (const name of await namesIn(client, parent, ino)) {
      paths.push(`${folder === "/" ? "" : folder}/${name}`);
    }
  }
  return paths;
}

/** A directory has one path. */
async function folderPath(client: Redis, ino: Ino): Promise<string> {
  const names: string[] = [];
  let at = ino;
  while (at !== ROOT_INO && at !== TRASH_INO && names.length < DEPTH_MAX) {
    const [parent] = await parentsOf(client, at);
    if (parent === undefined) return `(inode ${at})/${names.toReversed().join("/")}`;
    const [name = `(inode ${at})`] = await namesIn(client, parent, at);
    names.push(name);
    at = parent;
  }
  return `${at === TRASH_INO ? "/.trash/" : "/"}${names.toReversed().join("/")}`;
}

async function parentsOf(client: Redis, ino: Ino): Promise<Ino[]> {
  const record = await client.getBuffer(`i${ino}`);
  if (record === null) return [];
  const { parent } = decodeAttr(record);
  if (parent !== 0n) return [parent];
  const links = await client.hgetall(`p${ino}`);
  return Object.entries(links)
    .filter(([, count]) => Number(count) > 0)
    .map(([folder]) => BigInt(folder));
}

async function namesIn(client: Redis, folder: Ino, ino: Ino): Promise<string[]> {
  const names: string[] = [];
  let cursor = "0";
  do {
    const [next, fields] = await client.hscanBuffer(`d${folder}`, cursor, "COUNT", FIELDS_AT_ONCE);
    cursor = next.toString();
    for (let at = 0; at < fields.length; at += 2) {
      const entry = fields[at + 1] ?? Buffer.alloc(0);
      if (decodeDentry(entry).ino === ino) names.push((fields[at] ?? "").toString());
    }
  } while (cursor !== "0");
  return names;
}
