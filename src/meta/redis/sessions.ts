import { hostname, networkInterfaces } from "node:os";
import type { Redis } from "ioredis";
import { log } from "../../base/log.ts";
import { CLIENT_MARK, VERSION } from "../../base/version.ts";
import type { Ino, SessionInfo } from "../types.ts";
import type { Answers } from "./answers.ts";
import { integer, list, optionalBytes, text } from "./reply.ts";
import { callScript } from "./scripts.ts";

/** Sessions of mounted clients (JuiceFS pkg/meta/base.go and redis.go, 1.4). A heartbeat is one round trip. */

export const HEARTBEAT_MS = 12_000;
/** A session is dead when so many heartbeats are missing. */
const LIFE_HEARTBEATS = 5;
/** Part of a heartbeat in which one client at most looks for dead sessions. */
const CLEANUP_PART = 0.9;
const LOCKS_AT_ONCE = 500;
const RELEASES_AT_ONCE = 100;

/** What a heartbeat saw. */
export interface Beat {
  /** Absent where the volume is gone. */
  readonly setting: string | undefined;
  readonly usedBytes: number;
  readonly usedInodes: number;
  /** False when somebody took our session for dead and ended it: its locks are gone. */
  readonly known: boolean;
  /** False when the session's fence is gone with it, and no change is executed any more. */
  readonly fenced: boolean;
  /** Somebody is here who announces nothing. */
  readonly silent: boolean;
  /** Other databases of the server hold something. */
  readonly crowded: boolean;
  /** Other mounts that announce what they change. */
  readonly companions: number;
  /** Sessions that are for us to end. */
  readonly dead: readonly bigint[];
}

export function describeSession(mountpoint: string): SessionInfo {
  const addresses = Object.values(networkInterfaces())
    .flatMap((several) => several ?? [])
    .filter((address) => !address.internal && address.family === "IPv4")
    .map((address) => address.address);
  return {
    Version: VERSION,
    HostName: hostname(),
    ...(addresses.length > 0 ? { IPAddrs: addresses } : {}),
    MountPoint: mountpoint,
    MountTime: new Date().toISOString(),
    ProcessID: process.pid,
  };
}

/** A session to keep alive; number 0 is a read-only mount, which writes nothing. */
export interface OwnSession {
  readonly sid: bigint;
  readonly info: SessionInfo;
  readonly periodMs: number;
}

/** A new session's number, known to the others. */
export async function newSession(client: Redis, own: Omit<OwnSession, "sid">): Promise<bigint> {
  const sid = BigInt(await client.incr("nextsession"));
  await heartbeat(client, { sid, ...own }, false);
  return sid;
}

/** Keeps a session alive for five heartbeats more. `cleanUp`: ask for dead sessions to end. */
export async function heartbeat(
  client: Redis,
  { sid, info, periodMs }: OwnSession,
  cleanUp: boolean,
): Promise<Beat> {
  const now = Math.floor(Date.now() / 1000);
  const beating = callScript(
    client,
    "heartbeat",
    [
      ...["allSessions", "sessionInfos", "setting", "usedSpace", "totalInodes"],
      ...["lastCleanupSessions", `answers${sid}`],
    ],
    [
      ...[
        sid.toString(),
        now,
        Math.ceil((LIFE_HEARTBEATS * periodMs) / 1000),
        JSON.stringify(info),
      ],
      ...[cleanUp ? Math.floor((CLEANUP_PART * periodMs) / 1000) : -1, `+${CLIENT_MARK}.`],
    ],
  );
  const [reply, crowded] = await Promise.all([beating, isCrowded(client)]);
  const [setting, usedBytes, usedInodes, known, fence, silent, companions, dead] = list(reply);
  return {
    setting: optionalBytes(setting)?.toString(),
    usedBytes: integer(usedBytes),
    usedInodes: integer(usedInodes),
    known: integer(known) === 1,
    fenced: integer(fence) === 1,
    silent: integer(silent) > 0,
    crowded,
    companions: integer(companions),
    dead: list(dead).map((one) => BigInt(text(one))),
  };
}

/** A server that does not tell counts as the volume's alone. */
async function isCrowded(client: Redis): Promise<boolean> {
  const keyspace = await client.info("keyspace").catch(() => "");
  const databases = [...keyspace.matchAll(/^db(\d+):/gm)].map(([, number]) => Number(number));
  return databases.some((number) => number !== (client.options.db ?? 0));
}

/** Ends sessions, our own or dead ones. */
export interface SessionEnd {
  readonly client: Redis;
  readonly answers: Answers;
  /** Gives up inodes without a name that the session kept. */
  readonly release: (inodes: readonly Ino[], sid: bigint) => Promise<void>;
}

/**
 * Ends a session: its locks go, files kept only for it are deleted, then its records. What fails leaves the records,
 * for the next one who cleans up.
 */
export async function endSession(
  { client, answers, release }: SessionEnd,
  sid: bigint,
  dead: boolean,
): Promise<void> {
  let left: number;
  do {
    const keys = [`locked${sid}`, "waiters", "allSessions", "waiting"];
    const args = [sid.toString(), LOCKS_AT_ONCE, dead ? 1 : 0];
    left = integer(await answers.change("endlocks", keys, args));
  } while (left > 0);
  if (left < 0) return;
  if (dead) log.info({ sid: sid.toString() }, "cleaning up after a dead session");
  const kept = (await client.smembers(`session${sid}`)).map(BigInt);
  for (let at = 0; at < kept.length; at += RELEASES_AT_ONCE) {
    await release(kept.slice(at, at + RELEASES_AT_ONCE), sid);
  }
  await client
    .multi()
    .hdel("sessionInfos", sid.toString())
    .zrem("allSessions", sid.toString())
    .del(`answers${sid}`)
    .exec();
}

/** Ends sessions that have not been heard of for their whole lifetime; one that fails is left for the next time. */
export async function endDeadSessions(
  parts: SessionEnd,
  own: bigint,
  dead: readonly bigint[],
): Promise<void> {
  for (const sid of dead) {
    if (sid === own) continue;
    try {
      await endSession(parts, sid, true);
    } catch (error) {
      log.warn({ error, sid: sid.toString() }, "a dead session is not cleaned up yet");
    }
  }
}
