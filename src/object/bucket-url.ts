/** Where an S3 bucket lies, from the forms that JuiceFS takes. */
export interface BucketAddress {
  /** `http://host:port`, or undefined for Amazon's own. */
  readonly endpoint: string | undefined;
  readonly bucket: string;
  readonly region: string;
  /** The bucket is part of the host's name. */
  readonly virtualHost: boolean;
  readonly checksums: boolean;
}

const DEFAULT_REGION = "us-east-1";

/**
 * `http://host:port/bucket`, `https://bucket.s3.region.amazonaws.com`, `https://bucket.s3.amazonaws.com`.
 *
 * @throws Error in one sentence
 */
export function parseBucketUrl(text: string): BucketAddress {
  let url: URL;
  try {
    url = new URL(text.includes("://") ? text : `https://${text}`);
  } catch (cause) {
    throw new Error(`Cannot use bucket "${text}": expected a URL such as http://host:9000/bucket`, {
      cause,
    });
  }
  const region = process.env["AWS_REGION"] ?? process.env["AWS_DEFAULT_REGION"] ?? DEFAULT_REGION;
  const checksums = url.searchParams.get("disable-checksum") !== "true";
  const amazon = /^(.+)\.s3[.-]?([a-z0-9-]*)\.amazonaws\.com(\.cn)?$/.exec(url.hostname);
  if (amazon?.[1] !== undefined) {
    const own = amazon[2] === undefined || amazon[2] === "" ? region : amazon[2];
    return { endpoint: undefined, bucket: amazon[1], region: own, virtualHost: true, checksums };
  }
  const bucket = url.pathname.split("/")[1] ?? "";
  if (bucket === "") {
    throw new Error(
      `Cannot use bucket "${text}": it names no bucket, such as http://host:9000/bucket`,
    );
  }
  return { endpoint: url.origin, bucket, region, virtualHost: false, checksums };
}
