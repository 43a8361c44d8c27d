import type { Redis } from "ioredis";

/** What a server that somebody else set up does not promise about the volume's metadata. */

const LOST = "what an application was told is stored can be lost";

/**
 * Asks the server how it keeps its data. Nothing is asked of one that keeps every change on disk before it answers.
 *
 * @returns sentences for a log; none where a change that was answered survives a power failure
 */
export async function weakPoints(client: Redis): Promise<string[]> {
  const info = await infoOf(client);
  if (info === undefined) {
    return [`The server does not tell how it keeps its data: give the user the right +info`];
  }
  const found = [await persistence(client, info), eviction(info)];
  return found.filter((sentence) => sentence !== undefined);
}

async function persistence(client: Redis, info: Info): Promise<string | undefined> {
  if (info["aof_enabled"] === "1") return appendOnly(await configOf(client, "appendfsync"));
  if (info["aof_enabled"] !== "0") return undefined;
  const snapshots = await configOf(client, "save");
  if (snapshots === "") {
    return `The server keeps nothing on disk: with its end the volume is lost; set appendonly yes`;
  }
  return `The server keeps snapshots only: when it crashes ${LOST}, back to the last one; set appendonly yes`;
}

function appendOnly(sync: string | undefined): string | undefined {
  if (sync === "always") return undefined;
  if (sync === "no") {
    return `The server leaves it to its system when a change reaches the disk: after a power failure ${LOST}, of half a minute; set appendfsync everysec or always`;
  }
  const how = sync === undefined ? "does not tell how often it syncs" : "syncs once a second";
  return `The server ${how}: after a power failure ${LOST}, of a second or two; set appendfsync always where that is too much`;
}

function eviction(info: Info): string | undefined {
  const { maxmemory = "0", maxmemory_policy: policy = "noeviction" } = info;
  if (policy === "noeviction") return undefined;
  const now = maxmemory === "0" ? "as soon as it has a maxmemory" : "when its memory is full";
  return `The server removes keys, and parts of the volume with them, ${now}: set maxmemory-policy noeviction instead of ${policy}`;
}

type Info = Readonly<Record<string, string>>;

async function infoOf(client: Redis): Promise<Info | undefined> {
  try {
    const text = `${await client.info("persistence")}\n${await client.info("memory")}`;
    const pairs = text.matchAll(/^(\w+):(.*?)\r?$/gm);
    return Object.fromEntries([...pairs].map(([, name, value]) => [name, value]));
  } catch {
    return undefined;
  }
}

/** Undefined where the user may not ask, or the server does not know it. */
async function configOf(client: Redis, name: string): Promise<string | undefined> {
  try {
    const reply = (await client.call("CONFIG", "GET", name)) as string[];
    return reply[1];
  } catch {
    return undefined;
  }
}
