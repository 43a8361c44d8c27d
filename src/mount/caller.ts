import { readFileSync } from "node:fs";
import { LRUCache } from "lru-cache";
import type { RequestHeader } from "../fuse/operations.ts";
import type { Caller } from "../meta/types.ts";

/** Who made a request. The kernel tells user and group; the other groups are looked for where somebody asks. */

/** A process seldom changes its groups; its number may soon be another's. */
const GROUPS_MS = 2000;
const known = new LRUCache<string, readonly number[]>({ max: 1000, ttl: GROUPS_MS });

class RequestCaller implements Caller {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  readonly unique: bigint;

  constructor({ uid, gid, pid, unique }: RequestHeader) {
    this.uid = uid;
    this.gid = gid;
    this.pid = pid;
    this.unique = unique;
  }

  get groups(): readonly number[] {
    const { uid, gid, pid } = this;
    const key = `${pid} ${uid} ${gid}`;
    const groups = known.get(key) ?? [gid, ...readGroups(pid)];
    known.set(key, groups);
    return groups;
  }
}

export function callerOf(header: RequestHeader): Caller {
  return new RequestCaller(header);
}

/** None where the process is gone, or in a namespace that is not ours to see. */
function readGroups(pid: number): number[] {
  if (pid === 0) return [];
  try {
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    const line = /^Groups:(.*)$/m.exec(status)?.[1] ?? "";
    return line
      .trim()
      .split(/\s+/)
      .filter((text) => text !== "")
      .map(Number);
  } catch {
    return [];
  }
}
