import { FsError } from "../../base/fs-error.ts";
import { decodeDentry } from "../dentry.ts";
import type { DirBatch, Found } from "../meta.ts";
import { TYPE_SYMLINK } from "../limits.ts";
import { decodeSlice } from "../slice.ts";
import type { Attr, DirEntry, Ino, NodeType } from "../types.ts";
import type { MetaContext } from "./context.ts";
import { attr, bytes, list, optionalAttr, optionalBytes } from "./reply.ts";
import { callScript, translated } from "./scripts.ts";

/** Reading names and attributes: one round trip each. */

/** Buckets of a directory looked at for one batch of a listing: about half of them hold an entry. */
const BATCH = 8192;

/** A chunk of as many slices may have more than a lookup brings. */
const SLICES_BROUGHT = 8;

export async function lookup(context: MetaContext, parent: Ino, name: Buffer): Promise<Found> {
  const reply = await context.answers.ask("lookup", () =>
    callScript(context.client, "lookup", [`d${parent}`], [name]),
  );
  if (reply === null) throw new FsError("ENOENT", "lookup");
  const [entry, record, brought] = list(reply);
  const { ino, type } = decodeDentry(bytes(entry));
  const found = { ino, attr: optionalAttr(record) ?? lostInode(type) };
  const slices = list(brought);
  if (type === TYPE_SYMLINK) return { ...found, target: optionalBytes(slices[0]) };
  if (slices.length === 0 || slices.length === SLICES_BROUGHT) return found;
  return { ...found, slices: slices.map((slice) => decodeSlice(bytes(slice))) };
}

export async function getattr(context: MetaContext, ino: Ino): Promise<Attr> {
  const record = await context.answers.ask("getattr", () =>
    callScript(context.client, "getattr", [`i${ino}`, `p${ino}`], [ino.toString()]),
  );
  return attr(record);
}

export async function getattrs(
  context: MetaContext,
  inodes: readonly Ino[],
): Promise<(Attr | undefined)[]> {
  const records = await context.answers.ask("getattr", () =>
    callScript(
      context.client,
      "getattrs",
      inodes.map((ino) => `i${ino}`),
      inodes.map(String),
    ),
  );
  return list(records).map(optionalAttr);
}

export async function readlink(context: MetaContext, ino: Ino): Promise<Buffer> {
  const target = await get(context, `s${ino}`, "readlink");
  if (target === undefined) throw new FsError("ENOENT", "readlink");
  return target;
}

export async function readdir(
  context: MetaContext,
  ino: Ino,
  cursor: string,
  plus: boolean,
): Promise<DirBatch> {
  const reply = await context.answers.ask("readdir", () =>
    callScript(context.client, "readdir", [`d${ino}`], [cursor, BATCH, plus ? 1 : 0]),
  );
  const [next, fields, records] = list(reply);
  const pairs = list(fields);
  const attrs = list(records);
  const entries: DirEntry[] = [];
  for (let at = 0; at < pairs.length; at += 2) {
    const { ino: child, type } = decodeDentry(bytes(pairs[at + 1]));
    const known = optionalAttr(attrs[at / 2]);
    entries.push({
      name: bytes(pairs[at]),
      ino: child,
      type,
      ...(known === undefined ? {} : { attr: known }),
    });
  }
  return { entries, cursor: bytes(next).toString() };
}

async function get(context: MetaContext, key: string, action: string): Promise<Buffer | undefined> {
  return context.answers.ask(action, async () => {
    try {
      return optionalBytes(await context.client.getBuffer(key));
    } catch (error) {
      throw translated(error, action);
    }
  });
}

/** An entry whose inode is gone can be seen and removed, nothing else. */
function lostInode(type: NodeType): Attr {
  const time = { sec: 0, nsec: 0 };
  return {
    ...{ flags: 0, type, mode: 0, uid: 0, gid: 0, atime: time, mtime: time, ctime: time },
    ...{ nlink: 0, length: 0, rdev: 0, parent: 0n, accessAcl: 0, defaultAcl: 0, tier: 0 },
  };
}
