import { Client } from "minio";
import { parseBucketUrl } from "./bucket-url.ts";
import {
  ObjectMissing,
  type ByteRange,
  type ObjectInfo,
  type ObjectStorage,
  type RequestOptions,
} from "./storage.ts";
import { Transfer, type TransferAnswer } from "./transfer.ts";

/**
 * MinIO through its own client, which signs. Blocks travel in requests that it signed without their bytes (presigned), so that no
 * hash of a block is computed here.
 */

/** How long a signed request may be on its way, in seconds. */
const SIGNED_FOR = 3600;

export interface Credentials {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken: string;
}

export class MinioStorage implements ObjectStorage {
  readonly description: string;
  readonly limits = { rangeReads: true };
  readonly #client: Client;
  readonly #bucket: string;
  readonly #region: string;
  readonly #transfer = new Transfer();

  constructor(bucketUrl: string, { accessKey, secretKey, sessionToken }: Credentials) {
    const { endpoint, bucket, region } = parseBucketUrl(bucketUrl);
    if (endpoint === undefined) {
      throw new Error(`Cannot use bucket "${bucketUrl}" with minio storage: use storage s3`);
    }
    const url = new URL(endpoint);
    const secure = url.protocol === "https:";
    this.#bucket = bucket;
    this.#region = region;
    this.description = `minio://${url.host}/${bucket}`;
    this.#client = new Client({
      endPoint: url.hostname,
      port: url.port === "" ? (secure ? 443 : 80) : Number(url.port),
      useSSL: secure,
      ...{ accessKey, secretKey, region },
      ...(sessionToken === "" ? {} : { sessionToken }),
    });
  }

  async prepare(): Promise<void> {
    if (await this.#client.bucketExists(this.#bucket)) return;
    await this.#client.makeBucket(this.#bucket, this.#region);
  }

  async put(
    key: string,
    parts: readonly Uint8Array[],
    options: RequestOptions = {},
  ): Promise<void> {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const headers = { "content-length": `${length}`, "content-type": "application/octet-stream" };
    const answer = await this.#send("PUT", key, { headers, body: parts, ...options });
    if (answer.status !== 200) throw refusal("write", key, answer);
  }

  async get(
    key: string,
    into: Uint8Array,
    range?: ByteRange,
    options: RequestOptions = {},
  ): Promise<number> {
    const headers: Record<string, string> = {};
    if (range !== undefined) {
      headers["range"] = `bytes=${range.offset}-${range.offset + range.length - 1}`;
    }
    const answer = await this.#send("GET", key, { headers, into, ...options });
    if (answer.status === 416) return 0;
    if (answer.status >= 300) throw refusal("read", key, answer);
    return answer.length;
  }

  async head(key: string): Promise<ObjectInfo> {
    try {
      const { size, lastModified } = await this.#client.statObject(this.#bucket, key);
      return { key, size, modified: lastModified };
    } catch (error) {
      if ((error as { code?: string }).code === "NotFound")
        throw new ObjectMissing(key, { cause: error });
      throw error;
    }
  }

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    const listed = this.#client.listObjectsV2(this.#bucket, prefix, true);
    for await (const item of listed as AsyncIterable<{
      name?: string;
      size: number;
      lastModified: Date;
    }>) {
      if (item.name !== undefined) {
        yield { key: item.name, size: item.size, modified: item.lastModified };
      }
    }
  }

  async delete(key: string): Promise<void> {
    await this.#client.removeObject(this.#bucket, key);
  }

  async close(): Promise<void> {
    this.#transfer.close();
    await Promise.resolve();
  }

  async #send(
    method: string,
    key: string,
    request: {
      headers: Record<string, string>;
      body?: readonly Uint8Array[];
      into?: Uint8Array;
      signal?: AbortSignal;
    },
  ): Promise<TransferAnswer> {
    const url = await this.#client.presignedUrl(method, this.#bucket, key, SIGNED_FOR);
    return this.#transfer.send({ method, url: new URL(url), ...request });
  }
}

export function refusal(action: string, key: string, answer: TransferAnswer): Error {
  if (answer.status === 404 && answer.text.includes("NoSuchKey")) return new ObjectMissing(key);
  const code = /<Code>(.*?)<\/Code>/.exec(answer.text.toString())?.[1] ?? `status ${answer.status}`;
  return new Error(`Cannot ${action} object "${key}": ${code}`);
}
