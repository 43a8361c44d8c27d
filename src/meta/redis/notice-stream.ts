import type { Redis } from "ioredis";
import { compareIds, decodeMessage, type Message } from "./notice.ts";
import { bytes, list, text } from "./reply.ts";

/** The stream `notices`: what was announced lately, for those who did not hear it. */

const STREAM = "notices";
const BATCH = 1000;
const NONE = "0-0";
const FIELD = "n";
/** Of no session, about nothing. */
const NOTHING = Buffer.alloc(8);

/** The id of the newest notice. */
export async function newestNotice(client: Redis): Promise<string> {
  return firstId(await client.callBuffer("XREVRANGE", STREAM, "+", "-", "COUNT", 1));
}

/**
 * The same, and where nothing was announced yet, a notice that says nothing begins the stream: whoever starts from there later
 * can tell a stream that lost its beginning from one that was empty.
 */
export async function firstNotice(client: Redis): Promise<string> {
  const id = await newestNotice(client);
  if (id !== NONE) return id;
  return text(await client.callBuffer("XADD", STREAM, "*", FIELD, NOTHING));
}

/**
 * Hands on what was announced after `from`, up to `end`.
 *
 * @returns false where that is not all there any more: the stream was shortened, is another one, or lost its end and was
 * continued by others, as after a crash of a server that keeps snapshots
 */
export async function readNotices(
  client: Redis,
  { from, end }: { from: string; end: string },
  take: (id: string, message: Message) => void,
): Promise<boolean> {
  if (from === end) return true;
  const found = firstId(await client.callBuffer("XRANGE", STREAM, from, from));
  if (found === NONE || found !== from) return false;
  for (let at = from; compareIds(at, end) < 0;) {
    const batch = list(await client.callBuffer("XRANGE", STREAM, `(${at}`, end, "COUNT", BATCH));
    if (batch.length === 0) return true;
    for (const item of batch) {
      const [id, fields] = list(item);
      at = text(id);
      take(at, decodeMessage(bytes(list(fields)[1])));
    }
  }
  return true;
}

function firstId(range: unknown): string {
  const [first] = list(range);
  return first === undefined ? NONE : text(list(first)[0]);
}
