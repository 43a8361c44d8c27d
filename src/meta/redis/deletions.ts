import type { Redis } from "ioredis";
import pLimit from "p-limit";
import { log } from "../../base/log.ts";
import type { Ino } from "../types.ts";
import { list, text } from "./reply.ts";
import { callScript } from "./scripts.ts";

/**
 * Deletes what has no name any more: data of files, and slices nobody refers to (JuiceFS pkg/meta/redis.go
 * `doDeleteFileData`, 1.4). What fails stays recorded, in `delfiles` or as a negative count, for the hourly job.
 */

const FILES_AT_ONCE = 8;
const SLICES_AT_ONCE = 10;
const CHUNKS_AT_ONCE = 1000;

export type DeleteObjects = (id: bigint, size: number) => Promise<void>;

export class Deletions {
  readonly #client: Redis;
  readonly #deleteObjects: DeleteObjects;
  readonly #files = pLimit(FILES_AT_ONCE);
  readonly #slices = pLimit(SLICES_AT_ONCE);

  constructor(client: Redis, deleteObjects: DeleteObjects) {
    this.#client = client;
    this.#deleteObjects = deleteObjects;
  }

  /** Deletes a file's data in the background; the inode is gone already. */
  fileSoon(ino: Ino, length: number): void {
    this.file(ino, length).catch((error: unknown) => {
      const context = { error, ino: ino.toString() };
      log.warn(context, "the data of a deleted file stays until the hourly job");
    });
  }

  /** Deletes a file's data. `length` is the one in its record of `delfiles`. */
  file(ino: Ino, length: number): Promise<void> {
    return this.#files(async () => {
      let next = "0";
      while (next !== "") {
        const [after, ...slices] = list(
          await callScript(
            this.#client,
            "deletefile",
            ["sliceRef", "delfiles"],
            [ino.toString(), length, next, CHUNKS_AT_ONCE],
          ),
        ).map(text);
        await this.slices(slices);
        next = after ?? "";
      }
    });
  }

  /** Deletes slices, given as ids and sizes in turn. */
  async slices(pairs: readonly string[]): Promise<void> {
    const deleting: Promise<void>[] = [];
    for (let at = 0; at < pairs.length; at += 2) {
      deleting.push(this.slice(BigInt(pairs[at] ?? 0), Number(pairs[at + 1])));
    }
    const failed = (await Promise.allSettled(deleting)).find((one) => one.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  /** Deletes a slice's objects, then its count. */
  slice(id: bigint, size: number): Promise<void> {
    return this.#slices(async () => {
      await this.#deleteObjects(id, size);
      await this.#client.hdel("sliceRef", `k${id}_${size}`);
    });
  }

  /** Until nothing is under way; at most `limitMs`. */
  async idle(limitMs: number): Promise<void> {
    const end = Date.now() + limitMs;
    const busy = (): number =>
      [this.#files, this.#slices].reduce(
        (sum, { activeCount, pendingCount }) => sum + activeCount + pendingCount,
        0,
      );
    while (busy() > 0 && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
