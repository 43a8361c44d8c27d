import { createHmac, createSecretKey, hash, type KeyObject } from "node:crypto";

/**
 * AWS Signature Version 4 in the header, for requests whose bytes are not signed. The rules:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */

const ALGORITHM = "AWS4-HMAC-SHA256";
const UNSIGNED = "UNSIGNED-PAYLOAD";
/** What lies between may write these anew. */
const FREE = new Set(["content-length", "content-type"]);

export interface Credentials {
  readonly accessKey: string;
  readonly secretKey: string;
  /** Empty where there is none. */
  readonly sessionToken: string;
}

export interface RequestToSign {
  readonly method: string;
  /** Percent-encoded, without a query. */
  readonly path: string;
  readonly host: string;
  /** By lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Signs for one user in one region. The key of a day is derived once. */
export class SignerV4 {
  readonly #credentials: Credentials;
  readonly #region: string;
  #day = "";
  /** As an object: bytes are made one for each request, which costs more than the signature. */
  #key = createSecretKey(Buffer.alloc(0));

  constructor(credentials: Credentials, region: string) {
    this.#credentials = credentials;
    this.#region = region;
  }

  /** All headers of the request: those given, and what belongs to the signature. */
  sign({ method, path, host, headers }: RequestToSign, now: Date): Record<string, string> {
    const { accessKey, sessionToken } = this.#credentials;
    const time = now.toISOString().replaceAll(/[-:]|\.\d+/g, "");
    const day = time.slice(0, 8);
    const all: Record<string, string> = {
      ...headers,
      host,
      "x-amz-content-sha256": UNSIGNED,
      "x-amz-date": time,
      ...(sessionToken === "" ? {} : { "x-amz-security-token": sessionToken }),
    };
    const names = Object.keys(all)
      .filter((name) => !FREE.has(name))
      .toSorted();
    const lines = names.map((name) => `${name}:${all[name]?.trim().replaceAll(/ +/g, " ")}\n`);
    const signedNames = names.join(";");
    const canonical = `${method}\n${path}\n\n${lines.join("")}\n${signedNames}\n${UNSIGNED}`;
    const scope = `${day}/${this.#region}/s3/aws4_request`;
    const text = `${ALGORITHM}\n${time}\n${scope}\n${hash("sha256", canonical)}`;
    const signature = createHmac("sha256", this.#keyOf(day)).update(text).digest("hex");
    const authorization = `${ALGORITHM} Credential=${accessKey}/${scope}, SignedHeaders=${signedNames}, Signature=${signature}`;
    return { ...all, authorization };
  }

  #keyOf(day: string): KeyObject {
    if (this.#day !== day) {
      const parts = [day, this.#region, "s3", "aws4_request"];
      const key = parts.reduce(
        (before, part) => createHmac("sha256", before).update(part).digest(),
        Buffer.from(`AWS4${this.#credentials.secretKey}`),
      );
      this.#key = createSecretKey(key);
      this.#day = day;
    }
    return this.#key;
  }
}
