import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { PrefixedStorage } from "./prefixed.ts";
import type { ObjectStorage } from "./storage.ts";

/** What of a volume's settings its storage depends on. Secrets are readable here. */
export interface StorageSettings {
  readonly Name: string;
  readonly Storage: string;
  readonly Bucket: string;
  readonly AccessKey: string;
  readonly SecretKey: string;
  readonly SessionToken: string;
}

/**
 * A volume's storage: the driver, below the volume's name. Loads only the module that is needed.
 *
 * @throws Error in one sentence
 */
export async function createStorage(settings: StorageSettings): Promise<ObjectStorage> {
  return new PrefixedStorage(await createDriver(settings), `${settings.Name}/`);
}

async function createDriver(settings: StorageSettings): Promise<ObjectStorage> {
  const credentials = {
    accessKey: settings.AccessKey,
    secretKey: settings.SecretKey,
    sessionToken: settings.SessionToken,
  };
  switch (settings.Storage) {
    case "file": {
      const { FileStorage } = await import("./file.ts");
      return new FileStorage(settings.Bucket);
    }
    case "s3": {
      const { S3Storage } = await import("./s3.ts");
      return new S3Storage(settings.Bucket, credentials);
    }
    case "minio": {
      const { MinioStorage } = await import("./minio.ts");
      return new MinioStorage(settings.Bucket, credentials);
    }
    default:
      throw new Error(`Cannot use storage "${settings.Storage}": expected file, s3 or minio`);
  }
}

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
  const known = error as Record<"code" | "name" | "message", unknown> & {
    $metadata?: { httpStatusCode?: number };
  };
  const status = known.$metadata?.httpStatusCode === 403 ? "AccessDenied" : "";
  const text = [known.code, known.name, known.message, status].map(String).join(" ");
  const found = REASONS.find(([pattern]) => pattern.test(text));
  return found?.[1] ?? (error instanceof Error ? error.message : text);
}
