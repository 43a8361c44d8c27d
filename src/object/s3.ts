import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { crc32c } from "../base/crc32c.ts";
import { parseBucketUrl } from "./bucket-url.ts";
import type { Credentials } from "./minio.ts";
import { S3Handler } from "./s3-handler.ts";
import {
  ObjectMissing,
  type ByteRange,
  type ObjectInfo,
  type ObjectStorage,
  type RequestOptions,
} from "./storage.ts";

/**
 * S3 and whatever speaks it, through the AWS SDK. Requests go out over our own handler: blocks are not hashed (unsigned
 * payload), not copied, and answers are read into the caller's buffer. One try a call.
 */
export class S3Storage implements ObjectStorage {
  readonly description: string;
  readonly limits = { rangeReads: true };
  readonly #client: S3Client;
  readonly #handler = new S3Handler();
  readonly #bucket: string;
  readonly #region: string;
  readonly #checksums: boolean;

  constructor(bucketUrl: string, { accessKey, secretKey, sessionToken }: Credentials) {
    const { endpoint, bucket, region, virtualHost, checksums } = parseBucketUrl(bucketUrl);
    this.#bucket = bucket;
    this.#region = region;
    this.#checksums = checksums;
    this.description = `s3://${endpoint === undefined ? "" : `${new URL(endpoint).host}/`}${bucket}`;
    const vhost = /^(1|true|yes)$/i.test(process.env["JFS_S3_VHOST_STYLE"] ?? "");
    this.#client = new S3Client({
      ...{ region, maxAttempts: 1, requestHandler: this.#handler },
      forcePathStyle: !virtualHost && !vhost,
      requestChecksumCalculation: "WHEN_REQUIRED",
      responseChecksumValidation: "WHEN_REQUIRED",
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(accessKey === ""
        ? {}
        : {
            credentials: {
              ...{ accessKeyId: accessKey, secretAccessKey: secretKey },
              ...(sessionToken === "" ? {} : { sessionToken }),
            },
          }),
    });
    // The signer takes the header's word for the hash of the body.
    this.#client.middlewareStack.add(
      (next) => (args) => {
        const request = args.request as { headers: Record<string, string> };
        request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD";
        return next(args);
      },
      { step: "build", name: "unsignedPayload" },
    );
  }

  async prepare(): Promise<void> {
    try {
      await this.#client.send(new HeadBucketCommand({ Bucket: this.#bucket }));
    } catch (error) {
      if (!isMissing(error)) throw error;
      const elsewhere =
        this.#region === "us-east-1" ? {} : { LocationConstraint: this.#region as "eu-west-1" };
      await this.#client.send(
        new CreateBucketCommand({ Bucket: this.#bucket, CreateBucketConfiguration: elsewhere }),
      );
    }
  }

  async put(
    key: string,
    parts: readonly Uint8Array[],
    options: RequestOptions = {},
  ): Promise<void> {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const command = new PutObjectCommand({
      ...{ Bucket: this.#bucket, Key: key, ContentLength: length },
      ContentType: "application/octet-stream",
      ...(this.#checksums ? { Metadata: { crc32c: String(crc32c(parts)) } } : {}),
    });
    await this.#handler.withBody(parts, () => this.#send(command, options));
  }

  async get(
    key: string,
    into: Uint8Array,
    range?: ByteRange,
    options: RequestOptions = {},
  ): Promise<number> {
    const command = new GetObjectCommand({
      ...{ Bucket: this.#bucket, Key: key },
      ...(range === undefined
        ? {}
        : { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` }),
    });
    try {
      const { length, result } = await this.#handler.withTarget(into, () =>
        this.#send(command, options),
      );
      const expected = result.Metadata?.["crc32c"];
      if (range === undefined && this.#checksums && expected !== undefined) {
        const found = String(crc32c([into.subarray(0, length)]));
        if (found !== expected) {
          throw new Error(
            `Object "${key}" is corrupt: its checksum is ${found}, expected ${expected}`,
          );
        }
      }
      return length;
    } catch (error) {
      if (isMissing(error)) throw new ObjectMissing(key, { cause: error });
      throw error;
    }
  }

  async head(key: string): Promise<ObjectInfo> {
    try {
      const info = await this.#client.send(
        new HeadObjectCommand({ Bucket: this.#bucket, Key: key }),
      );
      return { key, size: info.ContentLength ?? 0, modified: info.LastModified ?? new Date(0) };
    } catch (error) {
      if (isMissing(error)) throw new ObjectMissing(key, { cause: error });
      throw error;
    }
  }

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    let token: string | undefined;
    do {
      const page = await this.#client.send(
        new ListObjectsV2Command({
          ...{ Bucket: this.#bucket, Prefix: prefix },
          ...(token === undefined ? {} : { ContinuationToken: token }),
        }),
      );
      for (const { Key, Size, LastModified } of page.Contents ?? []) {
        if (Key !== undefined)
          yield { key: Key, size: Size ?? 0, modified: LastModified ?? new Date(0) };
      }
      token = page.NextContinuationToken;
    } while (token !== undefined);
  }

  async delete(key: string): Promise<void> {
    await this.#client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key: key }));
  }

  async close(): Promise<void> {
    this.#client.destroy();
    this.#handler.destroy();
    await Promise.resolve();
  }

  async #send(
    command: PutObjectCommand | GetObjectCommand,
    options: RequestOptions,
  ): Promise<{ Metadata?: Record<string, string> | undefined }> {
    const how = options.signal === undefined ? {} : { abortSignal: options.signal };
    return command instanceof GetObjectCommand
      ? this.#client.send(command, how)
      : { ...(await this.#client.send(command, how)), Metadata: undefined };
  }
}

function isMissing(error: unknown): boolean {
  const { name = "", $metadata } = error as {
    name?: string;
    $metadata?: { httpStatusCode?: number };
  };
  if (name === "NoSuchBucket") return true;
  return (
    name === "NoSuchKey" ||
    name === "NotFound" ||
    (name !== "AccessDenied" && $metadata?.httpStatusCode === 404)
  );
}
