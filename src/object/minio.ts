import type { Client } from "minio";
import { parseMinioUrl } from "./bucket-url.ts";
import { CHECKSUM_HEADER, checksumOf, verifyChecksum } from "./checksum.ts";
import { SignerV4, type Credentials } from "./sign-v4.ts";
import {
  failure,
  ObjectMissing,
  signalOf,
  type ByteRange,
  type ObjectInfo,
  type ObjectStorage,
  type PutSettings,
  type RequestOptions,
  type StorageLimits,
} from "./storage.ts";
import { rangeHeader, Transfer, type TransferAnswer } from "./transfer.ts";

/**
 * MinIO through its own client, which is loaded when it is needed first: a serving process is to be there soon. Blocks travel
 * without it, in requests that are signed without their bytes, so that no cryptographic hash of a block is computed here.
 */

const META = `x-amz-meta-${CHECKSUM_HEADER}`;

/** What requests do, for messages. */
const ACTIONS = { GET: "read", PUT: "write", DELETE: "delete" } as const;

interface Sending {
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: readonly Uint8Array[];
  readonly into?: Uint8Array;
  readonly options: RequestOptions;
}

export class MinioStorage implements ObjectStorage {
  readonly description: string;
  readonly limits: StorageLimits;
  #client: Promise<Client> | undefined;
  readonly #bucket: string;
  readonly #region: string;
  readonly #url: URL;
  readonly #credentials: Credentials;
  readonly #signer: SignerV4;
  readonly #checksums: boolean;
  readonly #putHeaders: Readonly<Record<string, string>>;
  readonly #transfer = new Transfer();

  constructor(bucketUrl: string, credentials: Credentials, put: PutSettings) {
    const { endpoint, bucket, region, checksums } = parseMinioUrl(bucketUrl);
    if (endpoint === undefined) {
      throw new Error(`Cannot use bucket "${bucketUrl}" with minio storage: use storage s3`);
    }
    const url = new URL(endpoint);
    const secure = url.protocol === "https:";
    this.limits = { rangeReads: true, cheapRequests: !secure };
    this.#bucket = bucket;
    this.#region = region;
    this.#url = url;
    this.#credentials = credentials;
    this.#signer = new SignerV4(credentials, region);
    this.#checksums = checksums;
    this.#putHeaders = {
      "content-type": "application/octet-stream",
      ...(put.storageClass === "" ? {} : { "x-amz-storage-class": put.storageClass }),
      ...(put.tag === "" ? {} : { "x-amz-tagging": put.tag }),
    };
    this.description = `minio://${url.host}/${bucket}`;
  }

  async prepare(): Promise<void> {
    const client = await this.#loaded();
    if (await client.bucketExists(this.#bucket)) return;
    await client.makeBucket(this.#bucket, this.#region);
  }

  async put(
    key: string,
    parts: readonly Uint8Array[],
    options: RequestOptions = {},
  ): Promise<void> {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const headers = {
      ...this.#putHeaders,
      "content-length": `${length}`,
      ...(this.#checksums ? { [META]: checksumOf(parts) } : {}),
    };
    const answer = await this.#send("PUT", key, { headers, body: parts, options });
    if (answer.status !== 200) throw refusal("write", key, answer);
  }

  async get(
    key: string,
    into: Uint8Array,
    range?: ByteRange,
    options: RequestOptions = {},
  ): Promise<number> {
    const headers = range === undefined ? {} : { range: rangeHeader(range) };
    const answer = await this.#send("GET", key, { headers, into, options });
    if (answer.status === 416) return 0;
    if (answer.status >= 300) throw refusal("read", key, answer);
    if (range === undefined && this.#checksums) {
      const expected = answer.headers[META];
      verifyChecksum(key, expected?.toString(), into.subarray(0, answer.length));
    }
    return answer.length;
  }

  async head(key: string): Promise<ObjectInfo> {
    try {
      const client = await this.#loaded();
      const { size, lastModified } = await client.statObject(this.#bucket, key);
      return { key, size, modified: lastModified };
    } catch (error) {
      if ((error as { code?: string }).code === "NotFound")
        throw new ObjectMissing(key, { cause: error });
      throw failure("look at", key, error);
    }
  }

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    const client = await this.#loaded();
    const listed = client.listObjectsV2(this.#bucket, prefix, true);
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

  async delete(key: string, options: RequestOptions = {}): Promise<void> {
    const answer = await this.#send("DELETE", key, { headers: {}, options });
    if (answer.status < 300) return;
    const error = refusal("delete", key, answer);
    if (!(error instanceof ObjectMissing)) throw error;
  }

  /** A put that was cut off leaves nothing. */
  async removeAbandoned(): Promise<number> {
    return Promise.resolve(0);
  }

  async close(): Promise<void> {
    this.#transfer.close();
    await Promise.resolve();
  }

  async #send(
    method: keyof typeof ACTIONS,
    key: string,
    sending: Sending,
  ): Promise<TransferAnswer> {
    const path = `/${this.#bucket}/${key.split("/").map(encodeURIComponent).join("/")}`;
    const { body, into, options } = sending;
    try {
      return await this.#transfer.send({
        ...{ method, url: new URL(path, this.#url), headers: this.#signed(method, path, sending) },
        ...(body === undefined ? {} : { body }),
        ...{ into, signal: signalOf(options) },
      });
    } catch (error) {
      throw failure(ACTIONS[method], key, error);
    }
  }

  #signed(method: string, path: string, { headers }: Sending): Record<string, string> {
    if (this.#credentials.accessKey === "") return { ...headers };
    return this.#signer.sign({ method, path, host: this.#url.host, headers }, new Date());
  }

  #loaded(): Promise<Client> {
    this.#client ??= this.#load();
    return this.#client;
  }

  async #load(): Promise<Client> {
    const { Client: MinioClient } = await import("minio");
    const { hostname, port, protocol } = this.#url;
    const { accessKey, secretKey, sessionToken } = this.#credentials;
    const secure = protocol === "https:";
    return new MinioClient({
      endPoint: hostname,
      port: port === "" ? (secure ? 443 : 80) : Number(port),
      useSSL: secure,
      ...{ accessKey, secretKey, region: this.#region },
      ...(sessionToken === "" ? {} : { sessionToken }),
    });
  }
}

export function refusal(action: string, key: string, answer: TransferAnswer): Error {
  if (answer.status === 404 && answer.text.includes("NoSuchKey")) return new ObjectMissing(key);
  const code = /<Code>(.*?)<\/Code>/.exec(answer.text.toString())?.[1] ?? `status ${answer.status}`;
  return new Error(`Cannot ${action} object "${key}": ${code}`);
}
