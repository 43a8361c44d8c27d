import { FsError } from "../../base/fs-error.ts";
import type { Attr, Ino } from "../types.ts";
import type { MetaContext } from "./context.ts";
import { attr, bytes, list, optionalBytes, text } from "./reply.ts";
import { callScript, translated } from "./scripts.ts";

/** Extended attributes, as the hash `x<ino>` holds them. */

const FEW = 32;

/** All of an inode, where they are few enough to be handed over at once. */
export async function allXattrs(
  context: MetaContext,
  ino: Ino,
): Promise<Map<string, Buffer> | undefined> {
  const reply = await context.answers.ask("getxattr", () =>
    callScript(context.client, "xattrs", [`x${ino}`], [FEW]),
  );
  if (!Array.isArray(reply)) return undefined;
  const values = new Map<string, Buffer>();
  for (let at = 0; at < reply.length; at += 2) values.set(text(reply[at]), bytes(reply[at + 1]));
  return values;
}

export async function getxattr(context: MetaContext, ino: Ino, name: Buffer): Promise<Buffer> {
  const value = await ask(context, "getxattr", () => context.client.hgetBuffer(`x${ino}`, name));
  const found = optionalBytes(value);
  if (found === undefined) throw new FsError("ENODATA", "getxattr");
  return found;
}

export async function listxattr(context: MetaContext, ino: Ino): Promise<Buffer[]> {
  const names = await ask(context, "listxattr", () =>
    context.client.callBuffer("HKEYS", `x${ino}`),
  );
  return list(names).map(bytes);
}

export interface XattrChange {
  readonly name: Buffer;
  /** Absent to remove it. */
  readonly value?: Buffer;
  readonly flags: number;
  /** The kernel's number of the request. */
  readonly unique?: bigint | undefined;
}

export async function changeXattr(
  context: MetaContext,
  ino: Ino,
  change: XattrChange,
): Promise<Attr> {
  const { name, value, flags, unique } = change;
  const reply = await context.answers.change(
    "xattr",
    [`x${ino}`, `i${ino}`],
    [ino.toString(), name, value === undefined ? "remove" : "set", value ?? "", flags],
    unique,
  );
  return attr(reply);
}

async function ask<T>(context: MetaContext, action: string, work: () => Promise<T>): Promise<T> {
  return context.answers.ask(action, async () => {
    try {
      return await work();
    } catch (error) {
      throw translated(error, action);
    }
  });
}
