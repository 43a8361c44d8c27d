import { readFileSync } from "node:fs";
import { Redis, type RedisOptions } from "ioredis";

/**
 * Clients from a meta URL, as JuiceFS takes it: `redis://[user:password@]host:port/db`, `rediss://`, `unix://path?db=n`.
 * The library resends nothing by itself: a command whose answer was lost may have been executed.
 */

/** Where the metadata lies. `password` is a secret; `shown` is the URL without it. */
export interface MetaAddress {
  readonly options: RedisOptions;
  readonly shown: string;
}

const DEFAULT_PORT = 6379;
const CLUSTER =
  "it belongs to a Redis Cluster, where parts of a change may be refused; use a server of its own";
/** Between two connections that are given up because they lead to a replica. */
const REPLICA_MS = 1000;
/** A connection that says nothing to a question for so long leads nowhere. */
export const SILENCE_MS = 10_000;

/** @throws Error in one sentence when the URL is not one */
export function parseMetaUrl(text: string): MetaAddress {
  const url = asUrl(text);
  requireWholePassword(url, text);
  const shown = showUrl(url);
  if (url.protocol === "unix:") {
    return {
      options: {
        ...credentials(url, shown),
        path: decoded(url.pathname, shown),
        db: database(url.searchParams.get("db") ?? "0", shown),
      },
      shown,
    };
  }
  if (url.protocol !== "redis:" && url.protocol !== "rediss:") {
    throw new Error(`Cannot use meta URL "${shown}": its scheme is not redis, rediss or unix`);
  }
  if (url.hostname === "" || url.hostname.includes(",")) {
    throw new Error(
      `Cannot use meta URL "${shown}": it needs one host, such as redis://localhost:6379/1`,
    );
  }
  return {
    options: {
      ...credentials(url, shown),
      host: url.hostname.replace(/^\[|\]$/g, ""),
      port: url.port === "" ? DEFAULT_PORT : Number(url.port),
      db: database(url.pathname.replace(/^\//, "") || "0", shown),
      ...(url.protocol === "rediss:" ? { tls: tls(url.searchParams) } : {}),
    },
    shown,
  };
}

/**
 * Connects, or says in one sentence why not.
 *
 * @throws Error
 */
export async function connectRedis(address: MetaAddress, extra: RedisOptions = {}): Promise<Redis> {
  const client: Redis = new Redis({
    ...address.options,
    protocol: 2,
    lazyConnect: true,
    connectTimeout: 5000,
    socketTimeout: SILENCE_MS,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (times: number) => Math.min(20 * 2 ** times, 1000),
    reconnectOnError: leavesReplica(),
    ...extra,
    replyMapping: "legacy",
  });
  let last: Error | undefined;
  client.on("error", (error: Error) => {
    // The library would go on in database 0, which is somebody else's.
    if (isRefusedSelect(error)) client.disconnect(true);
    if (last === undefined || !isRefusedSelect(last)) last = error;
  });
  try {
    await client.connect();
    const { db = 0 } = address.options;
    if (db !== 0) await client.select(db);
    if (/^cluster_enabled:1/m.test(await client.info("cluster"))) throw new Error(CLUSTER);
  } catch (error) {
    client.disconnect();
    throw new Error(`Cannot reach Redis at ${address.shown}: ${reason(last ?? error)}`, {
      cause: error,
    });
  }
  return client;
}

/** The server was a master when this connection was made: the address may lead to another one by now, this connection never will. */
function leavesReplica(): (error: Error) => boolean {
  let left = -Infinity;
  return ({ message }) => {
    const now = performance.now();
    if (!message.startsWith("READONLY ") || now - left < REPLICA_MS) return false;
    left = now;
    return true;
  };
}

function isRefusedSelect(error: Error): boolean {
  return (error as { command?: { name?: string } }).command?.name === "select";
}

function reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  if (/WRONGPASS|NOAUTH|invalid.*password/i.test(text)) {
    return "it wants another password (put it into the URL or META_PASSWORD)";
  }
  // What a cluster says of a database other than the first.
  if (/not allowed in cluster mode/.test(text)) return CLUSTER;
  if (/DB index is out of range/.test(text)) return "it has no database of that number";
  if (/ECONNREFUSED|ENOENT/.test(text)) return "nobody listens there; start it or correct the URL";
  if (/ENOTFOUND|EAI_AGAIN/.test(text)) return "no such host";
  return text;
}

function asUrl(text: string): URL {
  try {
    return new URL(text.includes("://") ? text : `redis://${text}`);
  } catch (cause) {
    throw new Error(
      `Cannot use meta URL "${masked(text)}": expected redis://[user:password@]host:port/db`,
      { cause },
    );
  }
}

/** Where a `/`, `?` or `#` stands in a password as it is, the URL ends there, and what follows would be shown. */
function requireWholePassword(url: URL, text: string): void {
  const { protocol, username, password, pathname, search, hash } = url;
  if (protocol === "unix:" || username !== "" || password !== "") return;
  if (!`${pathname}${search}${hash}`.includes("@")) return;
  throw new Error(
    `Cannot use meta URL "${masked(text)}": write a / in a password as %2F, ? as %3F, # as %23, or put the password into META_PASSWORD`,
  );
}

function masked(text: string): string {
  return text.replace(/(\/\/|^).*@/s, "$1***@");
}

function showUrl(url: URL): string {
  const shown = new URL(url);
  if (shown.password !== "") shown.password = "***";
  return shown.href;
}

function database(text: string, shown: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new Error(`Cannot use meta URL "${shown}": "${text}" is not a database number`);
}

/** What stands in a URL with some characters as `%` and two digits. */
function decoded(part: string, shown: string): string {
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    throw new Error(
      `Cannot use meta URL "${shown}": write a % in a password or path as %25, and other special characters likewise`,
      { cause },
    );
  }
}

function credentials(url: URL, shown: string): RedisOptions {
  const password = url.password === "" ? passwordOfEnvironment() : decoded(url.password, shown);
  return {
    ...(url.username === "" ? {} : { username: decoded(url.username, shown) }),
    ...(password === undefined ? {} : { password }),
  };
}

function passwordOfEnvironment(): string | undefined {
  const { REDIS_PASSWORD, META_PASSWORD, META_PASSWORD_FILE } = process.env;
  if (REDIS_PASSWORD !== undefined) return REDIS_PASSWORD;
  if (META_PASSWORD !== undefined) return META_PASSWORD;
  if (META_PASSWORD_FILE === undefined) return undefined;
  return readNamed("META_PASSWORD_FILE", META_PASSWORD_FILE).toString().trimEnd();
}

/** @param name of the setting that names the file */
function readNamed(name: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new Error(`Cannot read ${name} "${path}": ${code}`, { cause });
  }
}

function tls(query: URLSearchParams): NonNullable<RedisOptions["tls"]> {
  const file = (name: string, member: string): Record<string, Buffer> => {
    const path = query.get(name);
    return path === null ? {} : { [member]: readNamed(name, path) };
  };
  return {
    rejectUnauthorized: query.get("insecure-skip-verify") === null,
    ...file("tls-cert-file", "cert"),
    ...file("tls-key-file", "key"),
    ...file("tls-ca-cert-file", "ca"),
    ...(query.has("tls-server-name") ? { servername: query.get("tls-server-name") ?? "" } : {}),
  };
}
