import { encodeAttr, decodeAttr } from "../attr.ts";
import { align4K, CHUNK_SIZE, ROOT_INO, TRASH_INO, TYPE_DIRECTORY } from "../limits.ts";
import type { Ino } from "../types.ts";
import type { CleanedUp, DirSums, Upkeep, VolumeSums } from "../upkeep.ts";
import { cleanUpNow } from "./cleanup.ts";
import type { MetaContext } from "./context.ts";
import { integer } from "./reply.ts";
import { scanInodes } from "./scan-inodes.ts";

const SUMS = ["dirDataLength", "dirUsedSpace", "dirUsedInodes"] as const;

export class RedisUpkeep implements Upkeep {
  readonly #context: MetaContext;

  constructor(context: MetaContext) {
    this.#context = context;
  }

  cleanUp(signal?: AbortSignal): Promise<CleanedUp> {
    return cleanUpNow(this.#context, signal);
  }

  deleteLeftOver(ino: Ino, chunks: number): Promise<void> {
    return this.#context.deletions.file(ino, chunks * CHUNK_SIZE);
  }

  async deleteOrphan(ino: Ino): Promise<boolean> {
    const { answers, client, deletions } = this.#context;
    const record = await client.getBuffer(`i${ino}`);
    if (record === null || (await this.#isKept(ino))) return false;
    const { parent, length, type } = decodeAttr(record);
    const folders = parent === 0n ? await client.hkeys(`p${ino}`) : [parent.toString()];
    const keys = [`i${ino}`, `x${ino}`, `s${ino}`, `p${ino}`, "delfiles"];
    const done = await answers.change("orphan", keys, [ino.toString(), record, ...folders]);
    if (integer(done) === 0) return false;
    if (type !== TYPE_DIRECTORY) deletions.fileSoon(ino, length);
    return true;
  }

  async dirSums(ino: Ino): Promise<DirSums | undefined> {
    const rows = await Promise.all(SUMS.map((key) => this.#context.client.hget(key, `${ino}`)));
    const [length, space, inodes] = rows;
    if (inodes === null || inodes === undefined) return undefined;
    return { length: Number(length), space: Number(space), inodes: Number(inodes) };
  }

  async repairDirSums(ino: Ino, seen: DirSums | undefined, right: DirSums): Promise<boolean> {
    const rows = seen === undefined ? ["", "", ""] : [seen.length, seen.space, seen.inodes];
    return this.#repair(
      [`i${ino}`, ...SUMS],
      [...["sums", ino.toString(), ...rows], ...[right.length, right.space, right.inodes]],
    );
  }

  repairNlink(ino: Ino, seen: number, right: number): Promise<boolean> {
    return this.#repair([`i${ino}`], ["nlink", ino.toString(), seen, right]);
  }

  restoreDirectory(
    ino: Ino,
    { mode, nlink, parent }: { mode: number; nlink: number; parent: Ino },
  ): Promise<boolean> {
    const now = { sec: Math.floor(Date.now() / 1000), nsec: 0 };
    const record = encodeAttr({
      ...{ flags: 0, type: TYPE_DIRECTORY, mode, uid: 0, gid: 0, nlink, length: 4096, rdev: 0 },
      ...{ atime: now, mtime: now, ctime: now, parent, accessAcl: 0, defaultAcl: 0, tier: 0 },
    });
    return this.#repair([`i${ino}`], ["attr", ino.toString(), record]);
  }

  async usage(): Promise<VolumeSums> {
    const [space, inodes] = await this.#context.client.mget("usedSpace", "totalInodes");
    return { space: Number(space ?? 0), inodes: Number(inodes ?? 0) };
  }

  async countUsage(signal?: AbortSignal): Promise<VolumeSums> {
    const sum = { space: 0, inodes: 0 };
    // A walk may show an inode twice.
    const seen = new Set<Ino>();
    for await (const inodes of scanInodes(this.#context.client)) {
      signal?.throwIfAborted();
      for (const { ino, attr } of inodes) {
        if (ino === ROOT_INO || ino === TRASH_INO || seen.has(ino)) continue;
        seen.add(ino);
        sum.space += attr.type === TYPE_DIRECTORY ? 4096 : align4K(attr.length);
        sum.inodes++;
      }
    }
    return sum;
  }

  repairUsage(seen: VolumeSums, right: VolumeSums): Promise<boolean> {
    return this.#repair(
      ["usedSpace", "totalInodes"],
      ["usage", "0", seen.space, seen.inodes, right.space, right.inodes],
    );
  }

  async #repair(
    keys: readonly string[],
    args: readonly (string | number | Buffer)[],
  ): Promise<boolean> {
    return integer(await this.#context.answers.change("repair", keys, args)) === 1;
  }

  /** Open somewhere without a name, or part of a tree that is being made. */
  async #isKept(ino: Ino): Promise<boolean> {
    const { client } = this.#context;
    if ((await client.zscore("detachedNodes", ino.toString())) !== null) return true;
    for (const sid of await client.zrange("allSessions", "0", "-1")) {
      if ((await client.sismember(`session${sid}`, ino.toString())) === 1) return true;
    }
    return false;
  }
}
