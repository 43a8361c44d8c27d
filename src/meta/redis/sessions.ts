import { hostname, networkInterfaces } from "node:os";
import type { Redis } from "ioredis";
import { log } from "../../base/log.ts";
import { VERSION } from "../../base/version.ts";
import type { Ino, SessionInfo } from "../types.ts";

/** Sessions of mounted clients (JuiceFS pkg/meta/base.go and redis.go, 1.4). */

export const HEARTBEAT_MS = 12_000;
const EXPIRY_HEARTBEATS = 5;

export function describeSession(mountpoint: string): SessionInfo {
  const addresses = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
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

/** Makes a session and tells the others. */
export async function newSession(client: Redis, info: SessionInfo): Promise<bigint> {
  const sid = BigInt(await client.incr("nextsession"));
  await refreshSession(client, sid, info);
  return sid;
}

/** Heartbeat: the session stays alive for a minute more. */
export async function refreshSession(client: Redis, sid: bigint, info: SessionInfo): Promise<void> {
  const expiry = Math.floor(Date.now() / 1000) + (EXPIRY_HEARTBEATS * HEARTBEAT_MS) / 1000;
  await client
    .multi()
    .hsetnx("sessionInfos", sid.toString(), JSON.stringify(info))
    .zadd("allSessions", expiry, sid.toString())
    .exec();
}

/**
 * Ends a session, our own or a dead one: its locks go, files kept only for it are deleted, then its records.
 *
 * @param release deletes an inode that has no name left
 */
export async function endSession(
  client: Redis,
  sid: bigint,
  release: (ino: Ino) => Promise<void>,
): Promise<void> {
  for (const key of await client.smembers(`locked${sid}`)) {
    const owners = await client.hkeys(key);
    const own = owners.filter((owner) => owner.startsWith(`${sid}_`));
    if (own.length > 0) await client.hdel(key, ...own);
    await client.srem(`locked${sid}`, key);
  }
  for (const ino of await client.smembers(`session${sid}`)) await release(BigInt(ino));
  await client
    .multi()
    .hdel("sessionInfos", sid.toString())
    .zrem("allSessions", sid.toString())
    .del(`answers${sid}`)
    .exec();
}

/** Claims a job that one client in `periodSeconds` does. */
export async function claim(client: Redis, key: string, periodSeconds: number): Promise<boolean> {
  const now = Math.floor(Date.now() / 1000);
  const script =
    "local old = tonumber(redis.call('GET', KEYS[1]) or 0) if old > ARGV[1] - ARGV[2] then return 0 end redis.call('SET', KEYS[1], ARGV[1]) return 1";
  return (await client.eval(script, 1, key, now, Math.floor(periodSeconds * 0.9))) === 1;
}

/** Cleans up after sessions that have not been heard of for their whole lifetime. */
export async function cleanStaleSessions(
  client: Redis,
  own: bigint,
  release: (sid: bigint, ino: Ino) => Promise<void>,
): Promise<void> {
  const now = Math.floor(Date.now() / 1000);
  const stale = await client.zrangebyscore("allSessions", "-inf", now, "LIMIT", 0, 1000);
  for (const text of stale) {
    const sid = BigInt(text);
    const score = await client.zscore("allSessions", text);
    if (sid === own || score === null || Number(score) > now) continue;
    log.info({ sid: text }, "cleaning up after a dead session");
    await endSession(client, sid, (ino) => release(sid, ino));
  }
}
