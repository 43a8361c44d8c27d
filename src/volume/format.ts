import { readFileSync } from "node:fs";
import { log } from "../base/log.ts";
import type { Format } from "../meta/format.ts";
import { changeFormat, newFormat, type FormatOptions } from "../meta/format-options.ts";
import { loadFormat, saveFormat } from "../meta/redis/format-store.ts";
import { openRedis } from "../meta/redis/open.ts";
import { checkStorage, requireEmpty } from "../object/check.ts";
import { createStorage } from "../object/create.ts";
import type { ObjectStorage } from "../object/storage.ts";
import type { FormatValues } from "../options/format.ts";

/** Makes a volume, or changes the settings of one (JuiceFS cmd/format.go, 1.4). */

export interface FormatRequest {
  readonly metaUrl: string;
  readonly name: string;
  readonly values: FormatValues;
  /** Change also what is fixed. */
  readonly force?: boolean | undefined;
  /** Leave a volume that is there as it is. */
  readonly noUpdate?: boolean | undefined;
}

export interface Formatted {
  /** Secrets readable. */
  readonly format: Format;
  readonly made: boolean;
}

/** @throws Error in one sentence; nothing is left behind then */
export async function formatVolume(request: FormatRequest): Promise<Formatted> {
  const client = await openRedis(request.metaUrl);
  try {
    const old = await loadFormat(client);
    if (old !== undefined && request.noUpdate === true) return { format: old, made: false };
    const options = optionsOf(request.values);
    if (old !== undefined && old.Name !== request.name && request.force !== true) {
      throw new Error(
        `Cannot format "${request.name}": the database holds volume "${old.Name}"; choose another database number`,
      );
    }
    const format =
      old === undefined
        ? newFormat(request.name, withEnvironment(options))
        : changeFormat({ ...old, Name: request.name }, options);
    tellRounded(request.values["block-size"], format);
    if (old !== undefined && options.encryptKey !== undefined) {
      log.warn("the encryption key stays as it was when the volume was made");
    }
    const storage = await createStorage({
      ...format,
      passphrase: request.values["rsa-passphrase"],
    });
    try {
      await prepareStorage(storage, format, old === undefined);
      await saveFormat(client, format, { force: request.force === true });
    } catch (error) {
      if (old === undefined) await storage.delete(UUID_KEY).catch(() => undefined);
      throw error;
    } finally {
      await storage.close();
    }
    return { format, made: old === undefined };
  } finally {
    client.disconnect();
  }
}

function tellRounded(asked: number | undefined, { BlockSize }: Format): void {
  if (asked === undefined || asked === BlockSize * 1024) return;
  log.warn(
    { asked, blockSize: BlockSize * 1024 },
    "the block size becomes a power of two from 64K to 16M",
  );
}

const UUID_KEY = "juicefs_uuid";

async function prepareStorage(
  storage: ObjectStorage,
  format: Format,
  fresh: boolean,
): Promise<void> {
  if ((process.env["JFS_NO_CHECK_OBJECT_STORAGE"] ?? "") !== "") return;
  await checkStorage(storage);
  if (!fresh) return;
  await requireEmpty(storage);
  await storage.put(UUID_KEY, [Buffer.from(format.UUID)]);
}

function optionsOf(values: FormatValues): FormatOptions {
  const blockSize = values["block-size"];
  return {
    ...{ storage: values.storage, bucket: values.bucket },
    ...{ accessKey: values["access-key"], secretKey: values["secret-key"] },
    ...{ sessionToken: values["session-token"], storageClass: values["storage-class"] },
    blockSizeKiB: blockSize === undefined ? undefined : Math.floor(blockSize / 1024),
    ...{ compression: values.compress, hashPrefix: values["hash-prefix"] },
    ...{ capacityBytes: values.capacity, inodes: values.inodes },
    ...{ trashDays: values["trash-days"], enableAcl: values["enable-acl"] },
    ...{ shards: values.shards, tag: values.tag, encryptAlgo: values["encrypt-algo"] },
    encryptKey: pemOf(values["encrypt-rsa-key"]),
  };
}

/** The text of a key: that of a file, or given as it is. */
function pemOf(given: string | undefined): string | undefined {
  if (given === undefined || given.includes("-----BEGIN")) return given;
  try {
    return readFileSync(given, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new Error(`Cannot read encryption key "${given}": ${code}`, { cause });
  }
}

function withEnvironment(options: FormatOptions): FormatOptions {
  const { ACCESS_KEY, SECRET_KEY, SESSION_TOKEN } = process.env;
  return {
    ...options,
    accessKey: options.accessKey ?? ACCESS_KEY,
    secretKey: options.secretKey ?? SECRET_KEY,
    sessionToken: options.sessionToken ?? SESSION_TOKEN,
  };
}
