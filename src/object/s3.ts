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
import { parseBucketUrl } from "./bucket-url.ts";
import { CHECKSUM_HEADER, checksumOf, verifyChecksum } from "./checksum.ts";
import type { Credentials } from "./sign-v4.ts";
import { S3Handler } from "./s3-handler.ts";
import {
  failure,
  ObjectMissing,
  signalOf,
  type ByteRange,
  type ObjectInfo,
  type ObjectStorage,
  type PutSettings,
  type RequestOptions,
} from "./storage.ts";
import { rangeHeader } from "./transfer.ts";

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
  readonly #put: PutSettings;

  constructor(
    bucketUrl: string,
    { accessKey, secretKey, sessionToken }: Credentials,
    put: PutSettings,
  ) {
    const { endpoint, bucket, region, virtualHost, checksums } = parseBucketUrl(bucketUrl);
    this.#bucket = bucket;
    this.#region = region;
    this.#checksums = checksums;
    this.#put = put;
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
    const { storageClass, tag } = this.#put;
    const command = new PutObjectCommand({
      ...{ Bucket: this.#bucket, Key: key, ContentLength: length },
      ContentType: "application/octet-stream",
      ...(storageClass === "" ? {} : { StorageClass: storageClass as "STANDARD" }),
      ...(tag === "" ? {} : { Tagging: tag }),
      ...(this.#checksums ? { Metadata: { [CHECKSUM_HEADER]: checksumOf(parts) } } : {}),
    });
    try {
      await this.#handler.withBody(parts, () => this.#send(command, options));
    } catch (error) {
      throw failure("write", key, error);
    }
  }

  async get(
    key: string,
    into: Uint8Array,
    range?: ByteRange,
    options: RequestOptions = {},
  ): Promise<number> {
    const command = new GetObjectCommand({
      ...{ Bucket: this.#bucket, Key: key },
      ...(range === undefined ? {} : { Range: rangeHeader(range) }),
    });
    try {
      const { length, result } = await this.#handler.withTarget(into, () =>
        this.#send(command, options),
      );
      if (range === undefined && this.#checksums) {
        verifyChecksum(key, result.Metadata?.[CHECKSUM_HEADER], into.subarray(0, length));
      }
      return length;
    } catch (error) {
      if (isObjectMissing(error)) throw new ObjectMissing(key, { cause: error });
      if ((error as Error).name === "InvalidRange") return 0;
      throw failure("read", key, error);
    }
  }

  async head(key: string): Promise<ObjectInfo> {
    try {
      const info = await this.#client.send(
        new HeadObjectCommand({ Bucket: this.#bucket, Key: key }),
      );
      return { key, size: info.ContentLength ?? 0, modified: info.LastModified ?? new Date(0) };
    } catch (error) {
      if (isObjectMissing(error)) throw new ObjectMissing(key, { cause: error });
      throw failure("look at", key, error);
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

  async delete(key: string, options: RequestOptions = {}): Promise<void> {
    try {
      await this.#send(new DeleteObjectCommand({ Bucket: this.#bucket, Key: key }), options);
    } catch (error) {
      throw failure("delete", key, error);
    }
  }

  /** A put that was cut off leaves nothing. */
  async removeAbandoned(): Promise<number> {
    return Promise.resolve(0);
  }

  async close(): Promise<void> {
    this.#client.destroy();
    this.#handler.destroy();
    await Promise.resolve();
  }

  async #send(
    command: PutObjectCommand | GetObjectCommand | DeleteObjectCommand,
    options: RequestOptions,
  ): Promise<{ Metadata?: Record<string, string> | undefined }> {
    const signal = signalOf(options);
    const how = signal === undefined ? {} : { abortSignal: signal };
    try {
      if (command instanceof GetObjectCommand) return await this.#client.send(command, how);
      await (command instanceof PutObjectCommand
        ? this.#client.send(command, how)
        : this.#client.send(command, how));
      return {};
    } catch (error) {
      // The SDK tells only that somebody gave up.
      throw signal?.aborted === true ? signal.reason : error;
    }
  }
}

/** True for a bucket or an object that is not there. */
function isMissing(error: unknown): boolean {
  const { name = "", $metadata } = error as {
    name?: string;
    $metadata?: { httpStatusCode?: number };
  };
  if (["NoSuchBucket", "NoSuchKey", "NotFound"].includes(name)) return true;
  return name !== "AccessDenied" && $metadata?.httpStatusCode === 404;
}

function isObjectMissing(error: unknown): boolean {
  return isMissing(error) && (error as Error).name !== "NoSuchBucket";
}
