import { FsError } from "../../base/fs-error.ts";
import type { Ino, LockType } from "../types.ts";
import type { MetaContext } from "./context.ts";
import { lastNotice, ownerField } from "./lock-waits.ts";

/**
 * flock(2), shared between hosts: the hash `lockf<ino>`. One round trip, and one for each time a waiter is woken. Who has taken
 * a lock has heard of everything that was changed before.
 */

const LETTER: Readonly<Record<LockType, string>> = { read: "R", write: "W", unlock: "U" };

export interface FlockRequest {
  readonly owner: bigint;
  readonly type: LockType;
  /** Waits for the lock until this aborts. */
  readonly wait?: AbortSignal | undefined;
}

/** @throws FsError EAGAIN, EINTR */
export async function flock(context: MetaContext, ino: Ino, request: FlockRequest): Promise<void> {
  const { owner, type, wait } = request;
  const attempt = async (): Promise<string | undefined> => {
    const reply = await context.answers.change(
      "flock",
      [`lockf${ino}`, `locked${context.sid}`, "waiters"],
      [ino.toString(), ownerField(context.sid, owner), LETTER[type], wait === undefined ? 0 : 1],
    );
    return lastNotice(reply);
  };
  const heard =
    wait === undefined
      ? await attempt()
      : await context.lockWaits.until(ino, attempt, { signal: wait, trust: context.trust });
  if (heard === undefined) throw new FsError("EAGAIN", "flock");
  if (type !== "unlock") await context.heard(heard);
}
