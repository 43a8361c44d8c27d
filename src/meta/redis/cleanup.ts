import pLimit from "p-limit";
import { log } from "../../base/log.ts";
import { CHUNK_SIZE, TRASH_INO } from "../limits.ts";
import type { Ino } from "../types.ts";
import type { MetaContext } from "./context.ts";
import { readdir } from "./lookup.ts";
import { remove } from "./remove.ts";
import { bytes, integer, list } from "./reply.ts";
import { callScript } from "./scripts.ts";
import { claim } from "./sessions.ts";

/** What is left to do after names are gone: data of deleted files, slices nobody refers to, the trash of old days. */

const HOUR = 3600;
const DELETES_AT_ONCE = 8;
const limit = pLimit(DELETES_AT_ONCE);

/** Deletes the data of a file that has no inode any more; what fails is found again by the hourly job. */
export async function deleteFile(context: MetaContext, ino: Ino, length: number): Promise<void> {
  for (let index = 0; index * CHUNK_SIZE < length; index++) {
    const gone = list(
      await callScript(context.client, "deletechunk", [`c${ino}_${index}`, "sliceRef"], []),
    ).map((part) => bytes(part).toString("latin1"));
    for (let at = 0; at < gone.length; at += 2) {
      await deleteSlice(context, BigInt(gone[at] ?? 0), Number(gone[at + 1]));
    }
  }
  await context.client.zrem("delfiles", `${ino}:${length}`);
}

/** Deletes a slice's objects, then its count. */
async function deleteSlice(context: MetaContext, id: bigint, size: number): Promise<void> {
  await limit(() => context.listener.deleteSlice(id, size));
  await context.client.hdel("sliceRef", `k${id}_${size}`);
}

/** The last handle of an inode without a name was closed. */
export async function forgetOpen(context: MetaContext, ino: Ino, sid = context.sid): Promise<void> {
  const length = integer(
    await context.answers.change("forget", [`i${ino}`, `session${sid}`], [ino.toString()]),
  );
  if (length >= 0) context.deleteFile(ino, length);
}

/** The jobs that one client an hour does. */
export async function hourlyJobs(context: MetaContext): Promise<void> {
  const { client } = context;
  if (await claim(client, "lastCleanupFiles", HOUR)) await deletedFiles(context);
  if (await claim(client, "nextCleanupSlices", HOUR)) await slicesWithoutReference(context);
  if (await claim(client, "lastCleanupTrash", HOUR)) {
    await expireTrash(context);
    await delayedSlices(context);
  }
}

async function deletedFiles(context: MetaContext): Promise<void> {
  const before = Math.floor(Date.now() / 1000) - HOUR;
  const members = await context.client.zrangebyscore(
    "delfiles",
    "-inf",
    before,
    "LIMIT",
    0,
    10_000,
  );
  for (const member of members) {
    const [ino, length] = member.split(":");
    if (ino !== undefined && length !== undefined)
      await deleteFile(context, BigInt(ino), Number(length));
  }
}

async function slicesWithoutReference(context: MetaContext): Promise<void> {
  let cursor = "0";
  do {
    const [next, fields] = await context.client.hscan("sliceRef", cursor, "COUNT", 1000);
    cursor = next;
    for (let at = 0; at < fields.length; at += 2) {
      const [, id, size] = /^k(\d+)_(\d+)$/.exec(fields[at] ?? "") ?? [];
      if (id === undefined || Number(fields[at + 1]) >= 0) continue;
      await deleteSlice(context, BigInt(id), Number(size));
    }
  } while (cursor !== "0");
}

/** Old slices of compactions are kept as long as the trash keeps files. */
async function delayedSlices(context: MetaContext): Promise<void> {
  const edge = Date.now() / 1000 - context.format().TrashDays * 24 * HOUR;
  for (const field of await context.client.hkeys("delSlices")) {
    if (Number(field.split("_")[1]) >= edge) continue;
    const script =
      "local r = redis.call('HGET', KEYS[1], ARGV[1]) if not r then return {} end redis.call('HDEL', KEYS[1], ARGV[1]) local g = {} for i = 1, #r, 12 do local h, l, s = struct.unpack('>I4I4I4', r, i) local id = string.format('%.0f', h * 4294967296 + l) if redis.call('HINCRBY', KEYS[2], 'k' .. id .. '_' .. s, -1) < 0 then g[#g + 1] = id g[#g + 1] = tostring(s) end end return g";
    const gone = (await context.client.eval(script, 2, "delSlices", "sliceRef", field)) as string[];
    for (let at = 0; at < gone.length; at += 2) {
      await deleteSlice(context, BigInt(gone[at] ?? 0), Number(gone[at + 1]));
    }
  }
}

const NOBODY = { uid: 0, gid: 0, pid: 0 };

/** Empties the hourly folders that are older than the volume keeps them. */
async function expireTrash(context: MetaContext): Promise<void> {
  const edge = Date.now() - (24 * context.format().TrashDays + 2) * HOUR * 1000;
  const folders = await readdir(context, TRASH_INO, "0", false);
  for (const folder of folders.entries) {
    const hour = folder.name.toString().replace(/^(\d+-\d+-\d+)-(\d+)$/, "$1T$2:00:00Z");
    if (!(Date.parse(hour) < edge)) continue;
    log.info({ folder: folder.name.toString() }, "emptying the trash");
    await removeTree(context, folder.ino);
    await remove(context, NOBODY, {
      parent: TRASH_INO,
      name: folder.name,
      directory: true,
      known: folder.ino,
    });
  }
}

async function removeTree(context: MetaContext, ino: Ino): Promise<void> {
  let cursor = "0";
  do {
    const batch = await readdir(context, ino, cursor, false);
    cursor = batch.cursor;
    for (const { name, ino: known, type } of batch.entries) {
      if (type === 2) await removeTree(context, known);
      await remove(context, NOBODY, { parent: ino, name, directory: type === 2, known });
    }
  } while (cursor !== "0");
}
