import type { Redis } from "ioredis";
import { log } from "../../base/log.ts";
import type { SessionInfo } from "../types.ts";

/** Sessions as `status` shows them (JuiceFS pkg/meta/base.go `ListSessions` and `GetSession`, 1.4). */

export interface SessionStatus extends SessionInfo {
  readonly Sid: number;
  /** When it is taken for dead without another heartbeat. */
  readonly Expire: string;
  readonly Sustained?: readonly number[];
  readonly Flocks?: readonly Flock[];
  readonly Plocks?: readonly Plock[];
}

interface Flock {
  readonly Inode: number;
  readonly Owner: string;
  readonly Ltype: string;
}

interface Plock {
  readonly Inode: number;
  readonly Owner: string;
  /** Base64, as Go writes bytes. */
  readonly Records: string;
}

/** With locks and sustained inodes. @throws Error when there is no session `sid` */
export async function describeSession(client: Redis, sid: bigint): Promise<SessionStatus> {
  const score = await client.zscore("allSessions", sid.toString());
  const one = score === null ? undefined : await describe(client, sid.toString(), score);
  if (one !== undefined) return { ...one, ...(await detail(client, sid)) };
  throw new Error(`Cannot show session ${sid}: there is none of that number`);
}

export async function listSessions(client: Redis): Promise<SessionStatus[]> {
  const pairs = await client.zrangebyscore("allSessions", "-inf", "+inf", "WITHSCORES");
  const sessions: SessionStatus[] = [];
  for (let at = 0; at < pairs.length; at += 2) {
    const one = await describe(client, pairs[at] ?? "", pairs[at + 1] ?? "0");
    if (one !== undefined) sessions.push(one);
  }
  return sessions;
}

async function describe(
  client: Redis,
  sid: string,
  score: string,
): Promise<SessionStatus | undefined> {
  const text = (await client.hget("sessionInfos", sid)) ?? "{}";
  const expire = new Date(Number(score) * 1000).toISOString();
  try {
    const info = JSON.parse(text) as SessionInfo;
    return { Sid: Number(sid), Expire: expire, ...info };
  } catch (error) {
    log.error({ error, sid }, "a session's record cannot be read");
    return undefined;
  }
}

async function detail(
  client: Redis,
  sid: bigint,
): Promise<Pick<SessionStatus, "Sustained" | "Flocks" | "Plocks">> {
  const flocks: Flock[] = [];
  const plocks: Plock[] = [];
  for (const key of await client.smembers(`locked${sid}`)) {
    const [, kind, ino] = /lock([fp])(\d+)$/.exec(key) ?? [];
    const owners = await client.hgetallBuffer(key);
    for (const [field, value] of Object.entries(owners)) {
      if (!field.startsWith(`${sid}_`)) continue;
      const owner = field.slice(field.indexOf("_") + 1);
      if (kind === "f") flocks.push({ Inode: Number(ino), Owner: owner, Ltype: value.toString() });
      else plocks.push({ Inode: Number(ino), Owner: owner, Records: value.toString("base64") });
    }
  }
  const sustained = (await client.smembers(`session${sid}`)).map(Number);
  return { Sustained: sustained, Flocks: flocks, Plocks: plocks };
}
