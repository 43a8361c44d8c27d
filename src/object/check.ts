import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { reasonOf, type ObjectStorage } from "./storage.ts";

/** What is looked at before a volume is trusted to a storage. */

const CHECK_TRIES = 3;
const CHECK_BYTES = 100;

/**
 * Writes, reads and deletes an object; makes the bucket when it is missing.
 *
 * @throws Error in one sentence, with what the store said
 */
export async function checkStorage(storage: ObjectStorage): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await tryStorage(storage);
      return;
    } catch (error) {
      const text = reason(error);
      if (attempt === CHECK_TRIES || /key|signature|denied|forbidden|credential/i.test(text)) {
        throw new Error(`Cannot use ${storage.description}: ${text}`, { cause: error });
      }
    }
    await sleep(attempt * 500);
  }
}

/** @throws Error when something lies where a new volume would */
export async function requireEmpty(storage: ObjectStorage): Promise<void> {
  for await (const { key, size } of storage.list("")) {
    if (size === 0 || key === "testing" || key.startsWith("testing/")) continue;
    throw new Error(
      `Cannot format: ${storage.description} is not empty (it holds "${key}"); choose another name or bucket`,
    );
  }
}

/** Makes the bucket when it is missing. @throws Error in one sentence, with what the store said */
export async function prepareStorage(storage: ObjectStorage): Promise<void> {
  try {
    await storage.prepare();
  } catch (error) {
    throw new Error(`Cannot use ${storage.description}: ${reason(error)}`, { cause: error });
  }
}

/** Before a long job that lists objects. @throws Error in one sentence, with what the store said */
export async function requireListing(storage: ObjectStorage): Promise<void> {
  try {
    for await (const _ of storage.list("")) return;
  } catch (error) {
    throw new Error(`Cannot list ${storage.description}: ${reason(error)}`, { cause: error });
  }
}

async function tryStorage(storage: ObjectStorage): Promise<void> {
  const key = `testing/${randomBytes(5).toString("hex")}`;
  const written = randomBytes(CHECK_BYTES);
  await storage.prepare();
  await storage.put(key, [written]);
  const read = Buffer.alloc(CHECK_BYTES);
  const length = await storage.get(key, read);
  if (length !== CHECK_BYTES || !read.equals(written)) throw new Error("it gives back other bytes");
  await storage.delete(key);
}

/** What the codes of drivers mean, first match wins. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, "nobody listens there; start it or correct the bucket's URL"],
  [/ENOTFOUND|EAI_AGAIN/, "no such host"],
  [/InvalidAccessKeyId/, "no such access key (InvalidAccessKeyId)"],
  [/SignatureDoesNotMatch/, "the secret key is wrong (SignatureDoesNotMatch)"],
  [
    /AccessDenied|Forbidden/,
    "access denied: wrong access key or secret key, or no right to this bucket",
  ],
];

function reason(error: unknown): string {
  const words = wordsOf(error);
  const found = REASONS.find(([pattern]) => pattern.test(words));
  return found?.[1] ?? reasonOf(error);
}

/** Everything an error and what caused it say of themselves. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const known = error as Error & { code?: unknown; $metadata?: { httpStatusCode?: number } };
  const status = known.$metadata?.httpStatusCode === 403 ? "AccessDenied" : "";
  const own = [known.code, known.name, known.message, status].map(String).join(" ");
  return error.cause === undefined ? own : `${own} ${wordsOf(error.cause)}`;
}
