import { BoundedWork } from "../base/bounded-work.ts";
import { eraseMetadata } from "../meta/redis/format-store.ts";
import { openFormat } from "../meta/redis/open.ts";
import { listSessions } from "../meta/redis/session-status.ts";
import { requireListing } from "../object/check.ts";
import { createStorage } from "../object/create.ts";
import { silent, type JobOptions } from "./progress.ts";

/** Deletes a volume for good: its objects, then its metadata (JuiceFS cmd/destroy.go, 1.4). */

export interface DestroyRequest {
  readonly metaUrl: string;
  readonly uuid: string;
  /** Also while somebody has it mounted. */
  readonly force?: boolean | undefined;
}

export interface Destroyed {
  readonly name: string;
  readonly objects: number;
  readonly bytes: number;
}

const DELETES_AT_ONCE = 16;

/**
 * @throws Error in one sentence: another volume lies there, somebody uses it, the storage refuses. The metadata is still
 * there then, and destroying goes on when it is tried again.
 */
export async function destroyVolume(
  request: DestroyRequest,
  { progress = silent, signal }: JobOptions = {},
): Promise<Destroyed> {
  const { format, client } = await openFormat(request.metaUrl);
  try {
    if (format.UUID !== request.uuid) {
      throw new Error(
        `Cannot destroy volume "${format.Name}": its UUID is ${format.UUID}, not ${request.uuid}`,
      );
    }
    const sessions = await listSessions(client);
    if (sessions.length > 0 && request.force !== true) {
      const users = sessions.map((one) => `${one.HostName}:${one.MountPoint}`).join(", ");
      throw new Error(
        `Cannot destroy volume "${format.Name}": it is mounted on ${users}; unmount it there, or use --force`,
      );
    }
    const storage = await createStorage(format);
    try {
      await requireListing(storage);
      const counter = progress.count("objects deleted");
      const deleted = { objects: 0, bytes: 0 };
      const deletions = new BoundedWork(DELETES_AT_ONCE);
      for await (const { key, size } of storage.list("")) {
        signal?.throwIfAborted();
        await deletions.start(async () => {
          await storage.delete(key);
          counter.add(1, size);
          deleted.objects++;
          deleted.bytes += size;
        });
      }
      await deletions.idle();
      counter.end();
      await storage.removeAbandoned(new Date());
      await eraseMetadata(client);
      return { name: format.Name, ...deleted };
    } finally {
      await storage.close();
    }
  } finally {
    client.disconnect();
  }
}
