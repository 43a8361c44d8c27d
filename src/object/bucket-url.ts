import { isIP } from "node:net";

/** Where an S3 bucket lies, from the forms that JuiceFS takes (JuiceFS pkg/object/s3.go and minio.go, 1.4). */
export interface BucketAddress {
  /** `http://host:port`, or undefined for Amazon's own. */
  readonly endpoint: string | undefined;
  readonly bucket: string;
  readonly region: string;
  /** The bucket is part of the host's name. */
  readonly virtualHost: boolean;
  readonly checksums: boolean;
}

/** A bucket and its host, as far as the URL tells. */
type Place = Pick<BucketAddress, "endpoint" | "bucket"> & { readonly region?: string | undefined };

const DEFAULT_REGION = "us-east-1";
const AMAZON = /\.amazonaws\.com(\.cn)?$/;
/** Hosts of others that tell their region; before them lies the bucket. */
const TELLING =
  /\.compat\.objectstorage\.(.*)\.oraclecloud\.com|^s3\.(\w*)(?:\.\w*)?\.cloud\.ovh\.net$/;

/**
 * `http://host:port/bucket`, `https://bucket.host`, `https://bucket.s3.region.amazonaws.com`,
 * `https://s3.region.amazonaws.com/bucket`. Without a scheme what is not Amazon's own is asked in the clear.
 *
 * @throws Error in one sentence
 */
export function parseBucketUrl(text: string): BucketAddress {
  const scheme = text.includes(".") && !/\.amazonaws\.com\b/.test(text) ? "http" : "https";
  const url = urlOf(text, scheme);
  return addressOf(text, url, AMAZON.test(url.hostname) ? atAmazon(url) : elsewhere(url));
}

/** The same for MinIO, where the bucket is never part of the host's name. @throws Error in one sentence */
export function parseMinioUrl(text: string): BucketAddress {
  const url = urlOf(text, "http");
  const bucket = /^\/(?:minio\/(?=[^/]))?([^/]*)/.exec(url.pathname)?.[1] ?? "";
  const region = [url.searchParams.get("region"), process.env["MINIO_REGION"]].find(Boolean);
  return addressOf(text, url, { endpoint: url.origin, bucket, region: region ?? undefined });
}

function urlOf(text: string, scheme: string): URL {
  try {
    return new URL(text.includes("://") ? text : `${scheme}://${text}`);
  } catch (cause) {
    throw new Error(`Cannot use bucket "${text}": expected a URL such as http://host:9000/bucket`, {
      cause,
    });
  }
}

function addressOf(text: string, url: URL, { endpoint, bucket, region }: Place): BucketAddress {
  if (bucket === "") {
    throw new Error(
      `Cannot use bucket "${text}": it names no bucket, such as http://host:9000/bucket`,
    );
  }
  const { AWS_REGION, AWS_DEFAULT_REGION } = process.env;
  return {
    ...{ endpoint, bucket, virtualHost: endpoint === undefined },
    region: [region, AWS_REGION, AWS_DEFAULT_REGION].find(Boolean) ?? DEFAULT_REGION,
    checksums: url.searchParams.get("disable-checksum")?.toLowerCase() !== "true",
  };
}

function atAmazon(url: URL): Place {
  const link = /^([^.]+)\.(.*\.([^.]+)\.vpce\.amazonaws\.com)$/.exec(url.hostname);
  if (link !== null) {
    const [, bucket = "", host = "", region] = link;
    return { endpoint: `${url.protocol}//${host}`, bucket, region };
  }
  const [, before = "", region] =
    /^(?:(.+)\.)?s3(?:[.-]dualstack)?(?:[.-]([a-z0-9-]+))?\.amazonaws\.com/.exec(url.hostname) ??
    [];
  const bucket = before === "" ? folderOf(url) : before;
  return { endpoint: undefined, bucket, region: region === "external-1" ? undefined : region };
}

function elsewhere(url: URL): Place {
  const bucket = folderOf(url);
  if (bucket !== "") return { endpoint: url.origin, bucket };
  const [, first = "", host = ""] = /^([^.]+)\.(.+)$/.exec(url.host) ?? [];
  if (isIP(url.hostname) !== 0 || host === "") return { endpoint: url.origin, bucket: "" };
  const region = TELLING.exec(host)?.slice(1).find(Boolean);
  return { endpoint: `${url.protocol}//${host}`, bucket: first, region };
}

/** The first part of the path. */
function folderOf({ pathname }: URL): string {
  return pathname.split("/")[1] ?? "";
}
