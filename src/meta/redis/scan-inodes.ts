import type { Redis } from "ioredis";
import { decodeAttr } from "../attr.ts";
import { decodeDentry } from "../dentry.ts";
import type { Attr, Ino } from "../types.ts";

/** Walks over all directories, and over all inodes, part by part: what is changed meanwhile may be seen or not. */

const KEYS_AT_ONCE = 1000;
const FIELDS_AT_ONCE = 1000;

/** The inodes that entries of any directory lead to; one or another twice. */
export async function* scanEntries(client: Redis): AsyncIterable<Ino[]> {
  let cursor = "0";
  do {
    const [next, keys] = await client.scan(cursor, "MATCH", "d*", "COUNT", KEYS_AT_ONCE);
    cursor = next;
    let open = keys.filter((key) => /^d\d+$/.test(key)).map((key) => ({ key, at: "0" }));
    while (open.length > 0) {
      const pages = client.pipeline();
      for (const { key, at } of open) pages.hscanBuffer(key, at, "COUNT", FIELDS_AT_ONCE);
      const replies = (await pages.exec()) ?? [];
      const inodes: Ino[] = [];
      open = open.flatMap(({ key }, index) => {
        const [failed, reply] = replies[index] ?? [];
        if (failed instanceof Error) throw failed;
        const [after, fields] = reply as [Buffer, Buffer[]];
        for (let at = 1; at < fields.length; at += 2) {
          inodes.push(decodeDentry(fields[at] ?? Buffer.alloc(0)).ino);
        }
        return after.toString() === "0" ? [] : [{ key, at: after.toString() }];
      });
      yield inodes;
    }
  } while (cursor !== "0");
}

/** All inodes, those of the trash's folders too; one or another twice. */
export async function* scanInodes(
  client: Redis,
): AsyncIterable<readonly { readonly ino: Ino; readonly attr: Attr }[]> {
  let cursor = "0";
  do {
    const [next, keys] = await client.scan(cursor, "MATCH", "i*", "COUNT", KEYS_AT_ONCE);
    cursor = next;
    const inodes = keys.flatMap((key) => /^i(\d+)$/.exec(key)?.[1] ?? []).map(BigInt);
    if (inodes.length === 0) continue;
    const records = await client.mgetBuffer(...inodes.map((ino) => `i${ino}`));
    yield inodes.flatMap((ino, at) => {
      const record = records[at];
      return record === null || record === undefined ? [] : [{ ino, attr: decodeAttr(record) }];
    });
  } while (cursor !== "0");
}
