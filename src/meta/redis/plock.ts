import { FsError } from "../../base/fs-error.ts";
import type { Ino, LockType, RangeLock } from "../types.ts";
import type { MetaContext } from "./context.ts";
import { lastNotice, ownerField } from "./lock-waits.ts";
import { bytes, list } from "./reply.ts";
import { translated } from "./scripts.ts";

/**
 * fcntl(2) byte ranges, shared between hosts: the hash `lockp<ino>`. Types are Linux's numbers. Who has taken a lock has
 * heard of everything that was changed before.
 */

const NUMBER: Readonly<Record<LockType, number>> = { read: 0, write: 1, unlock: 2 };
const RECORD_BYTES = 24;

export interface SetlkRequest {
  readonly owner: bigint;
  readonly lock: RangeLock;
  /** Waits for the lock until this aborts. */
  readonly wait?: AbortSignal | undefined;
}

/** @throws FsError EAGAIN, EINTR, EDEADLK */
export async function setlk(context: MetaContext, ino: Ino, request: SetlkRequest): Promise<void> {
  const { owner, lock, wait } = request;
  const attempt = async (): Promise<string | undefined> => {
    const reply = await context.answers.change(
      "plock",
      [`lockp${ino}`, `locked${context.sid}`, "waiters", "waiting"],
      [
        ino.toString(),
        ownerField(context.sid, owner),
        encodeLock(lock),
        wait === undefined ? 0 : 1,
      ],
    );
    return lastNotice(reply);
  };
  const heard =
    wait === undefined
      ? await attempt()
      : await waiting(context, ownerField(context.sid, owner), () =>
          context.lockWaits.until(ino, attempt, { signal: wait, trust: context.trust }),
        );
  if (heard === undefined) throw new FsError("EAGAIN", "setlk");
  if (lock.type !== "unlock") await context.heard(heard);
}

/** Who gives up is no longer part of a circle of owners that wait for each other. */
async function waiting<T>(
  { answers, client }: MetaContext,
  owner: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof FsError && error.code === "EINTR") {
      await answers.ask("setlk", async () => client.hdel("waiting", owner));
    }
    throw error;
  }
}

/** The first lock in the way of `lock`; a lock of another session has no pid here. */
export async function getlk(
  context: MetaContext,
  ino: Ino,
  owner: bigint,
  lock: RangeLock,
): Promise<RangeLock | undefined> {
  const fields = await context.answers.ask("getlk", async () => {
    try {
      return list(await context.client.callBuffer("HGETALL", `lockp${ino}`));
    } catch (error) {
      throw translated(error, "getlk");
    }
  });
  const own = ownerField(context.sid, owner);
  for (let at = 0; at < fields.length; at += 2) {
    const holder = bytes(fields[at]).toString("latin1");
    if (holder === own) continue;
    const found = decodeLocks(bytes(fields[at + 1])).find((held) => conflicts(held, lock));
    if (found === undefined) continue;
    return holder.startsWith(`${context.sid}_`) ? found : { ...found, pid: 0 };
  }
  return undefined;
}

function conflicts(held: RangeLock, wanted: RangeLock): boolean {
  const apart = held.end < wanted.start || wanted.end < held.start;
  return !apart && (held.type === "write" || wanted.type === "write");
}

function encodeLock({ type, pid, start, end }: RangeLock): Buffer {
  const record = Buffer.allocUnsafe(RECORD_BYTES);
  record.writeUInt32BE(NUMBER[type], 0);
  record.writeUInt32BE(pid, 4);
  record.writeBigUInt64BE(start, 8);
  record.writeBigUInt64BE(end, 16);
  return record;
}

function decodeLocks(records: Buffer): RangeLock[] {
  const locks: RangeLock[] = [];
  for (let at = 0; at + RECORD_BYTES <= records.length; at += RECORD_BYTES) {
    locks.push({
      type: records.readUInt32BE(at) === NUMBER.read ? "read" : "write",
      pid: records.readUInt32BE(at + 4),
      start: records.readBigUInt64BE(at + 8),
      end: records.readBigUInt64BE(at + 16),
    });
  }
  return locks;
}
