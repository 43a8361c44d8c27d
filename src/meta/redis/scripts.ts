import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { FsError, type ErrnoName } from "../../base/fs-error.ts";
import { constants } from "node:os";
import { ScriptCall, type Argument } from "./script-call.ts";
import { scriptText } from "./script-text.ts";

/**
 * Runs Lua scripts by their names: `lua/<name>.lua`, loaded once, called by hash. A refusal of a script
 * (`ENOENT lookup`) becomes an FsError. What failed on the way to the server is told apart, for only the caller knows
 * whether it may be sent again.
 */

/** The server may have executed it or not. */
export class Unanswered extends Error {
  override readonly name = "Unanswered";
}

interface Script {
  readonly text: string;
  readonly hash: string;
}

/**
 * All of them, read when the program starts: an upgrade may put others in their place while it runs, which would be called
 * with keys and arguments of their own.
 */
const files = readFiles(new URL("lua/", import.meta.url));
/** Put together when they are called: a successor has no time for those that it may never need. */
const scripts = new Map<string, Script>();

function readFiles(folder: URL): ReadonlyMap<string, string> {
  return new Map(
    readdirSync(folder).map((file) => [
      file.replace(/\.lua$/, ""),
      readFileSync(new URL(file, folder), "utf8"),
    ]),
  );
}

/** A script's text, with what it uses before it. */
function scriptOf(own: string): Script {
  const shared = (/^-- uses (.*)$/m.exec(own)?.[1] ?? "").split(" ").filter((part) => part !== "");
  const text = scriptText(
    shared.map((name) => files.get(name) ?? ""),
    own,
  );
  return { text, hash: createHash("sha1").update(text).digest("hex") };
}

function script(name: string): Script {
  const known = scripts.get(name);
  if (known !== undefined) return known;
  const own = files.get(name);
  if (own === undefined) throw new Error(`no script "${name}"`);
  const made = scriptOf(own);
  scripts.set(name, made);
  return made;
}

/**
 * Calls a script once; loads it where the server does not know it.
 *
 * @throws FsError what the script refused; Unanswered when nobody knows what became of it
 */
export async function callScript(
  client: Redis,
  name: string,
  keys: readonly string[],
  args: readonly Argument[],
): Promise<unknown> {
  const { hash, text } = script(name);
  try {
    return await send(client, "evalsha", [hash, keys.length, ...keys, ...args]);
  } catch (error) {
    if (!isReply(error) || !error.message.startsWith("NOSCRIPT")) throw translated(error, name);
  }
  try {
    return await send(client, "eval", [text, keys.length, ...keys, ...args]);
  } catch (error) {
    throw translated(error, name);
  }
}

function send(client: Redis, name: "eval" | "evalsha", args: Argument[]): Promise<unknown> {
  return client.sendCommand(new ScriptCall(name, args)) as Promise<unknown>;
}

/** The server's own refusals that pass by themselves. */
const PASSING = /^(LOADING|READONLY|NOREPLICAS|CLUSTERDOWN|TRYAGAIN|MASTERDOWN|BUSY) /;

/** The user may not do that, or not with that key; a script says it in other words. */
const FORBIDDEN = /NOPERM|^ERR The user executing the script/;

export function translated(error: unknown, action: string): Error {
  if (!isReply(error)) return new Unanswered(`${action}: no answer`, { cause: error });
  const [code = "", ...rest] = error.message.split(" ");
  if (code in constants.errno)
    return new FsError(code as ErrnoName, rest.join(" "), { cause: error });
  if (code.startsWith("OOM")) return new FsError("ENOSPC", action, { cause: error });
  if (PASSING.test(error.message)) return new Unanswered(error.message, { cause: error });
  const help = FORBIDDEN.test(error.message)
    ? "; docs/redis.md lists the rights that are needed"
    : "";
  return new FsError("EIO", `${action} (${error.message}${help})`, { cause: error });
}

function isReply(error: unknown): error is Error {
  return error instanceof Error && error.name === "ReplyError";
}

/** Waits a little longer before each further try. */
export async function pause(attempt: number): Promise<void> {
  await sleep(Math.min(10 * 2 ** attempt, 1000));
}
