import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { parseBucketUrl, parseMinioUrl } from "../../src/object/bucket-url.ts";
import { MINIO_PASSWORD, MINIO_USER, startMinio } from "../support/minio.ts";
import { formatTestVolume, mountVolume, officialJuicefs } from "../support/mount.ts";

/** The ways in which JuiceFS lets one say where a bucket lies. */

function told(parse: typeof parseBucketUrl, url: string): string {
  const { endpoint, bucket, region } = parse(url);
  return `${bucket} at ${endpoint ?? "Amazon's"} in ${region}`;
}

test("a bucket is a folder of a host, or the first part of its name", () => {
  const s3: readonly [string, string][] = [
    ["127.0.0.1:9000/data", "data at http://127.0.0.1:9000 in us-east-1"],
    ["http://[::1]:9000/data/", "data at http://[::1]:9000 in us-east-1"],
    ["https://data.nyc3.example.com", "data at https://nyc3.example.com in us-east-1"],
    ["https://data.s3.gra.io.cloud.ovh.net", "data at https://s3.gra.io.cloud.ovh.net in gra"],
    ["https://data.s3.eu-west-1.amazonaws.com", "data at Amazon's in eu-west-1"],
    ["https://data.s3-eu-west-1.amazonaws.com", "data at Amazon's in eu-west-1"],
    ["https://a.b.s3.dualstack.eu-west-1.amazonaws.com", "a.b at Amazon's in eu-west-1"],
    ["data.s3.cn-north-1.amazonaws.com.cn", "data at Amazon's in cn-north-1"],
    ["https://s3.eu-west-1.amazonaws.com/data", "data at Amazon's in eu-west-1"],
    ["https://s3.amazonaws.com/data", "data at Amazon's in us-east-1"],
  ];
  for (const [url, expected] of s3) assert.equal(told(parseBucketUrl, url), expected);
  const minio: readonly [string, string][] = [
    ["minio.example:9000/data", "data at http://minio.example:9000 in us-east-1"],
    ["https://minio.example/minio/data", "data at https://minio.example in us-east-1"],
    ["https://minio.example/minio", "minio at https://minio.example in us-east-1"],
    ["https://minio.example/data?region=here", "data at https://minio.example in here"],
  ];
  for (const [url, expected] of minio) assert.equal(told(parseMinioUrl, url), expected);
  for (const nameless of ["http://127.0.0.1:9000", "http://[::1]:9000/", "http://minio:9000"]) {
    assert.throws(() => parseBucketUrl(nameless), /it names no bucket/);
  }
  assert.throws(() => parseMinioUrl("http://minio.example:9000"), /it names no bucket/);
});

test("a volume of the official client is found however it was told where its bucket lies", async () => {
  await using minio = await startMinio();
  const keys = ["--access-key", MINIO_USER, "--secret-key", MINIO_PASSWORD];
  const places: readonly [string, string][] = [
    ["minio", `127.0.0.1:${minio.port}/minio/one`],
    ["s3", `127.0.0.1:${minio.port}/two`],
    ["s3", `http://three.localhost:${minio.port}`],
  ];
  for (const [storage, bucket] of places) {
    const format = ["--storage", storage, "--bucket", bucket, ...keys];
    await using volume = await formatTestVolume({ official: true, format });
    const mount = await mountVolume(volume);
    await writeFile(join(mount.path, "file"), randomBytes(100_000));
    await mount.unmount();
    const { stderr } = await officialJuicefs("fsck", volume.metaUrl);
    assert.doesNotMatch(stderr, /ERROR|FATAL/);
  }
});
