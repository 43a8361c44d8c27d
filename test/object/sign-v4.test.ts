import assert from "node:assert/strict";
import { test } from "node:test";
import { signV4 } from "minio/dist/esm/signing.mjs";
import { SignerV4 } from "../../src/object/sign-v4.ts";

/** The client of MinIO is the judge. */

const CREDENTIALS = { accessKey: "user", secretKey: "s3cret/+=", sessionToken: "" };
const HOST = "minio.example:9000";

function signedByMinio(
  request: { method: string; path: string; headers: Record<string, string> },
  region: string,
  now: Date,
): string {
  const { accessKey, secretKey } = CREDENTIALS;
  const all = { ...request, protocol: "http:" };
  return signV4(all, accessKey, secretKey, region, now, "UNSIGNED-PAYLOAD");
}

test("a request is signed as the client of MinIO signs it, each day with a key of that day", () => {
  for (const region of ["us-east-1", "eu-central-1"]) {
    const signer = new SignerV4(CREDENTIALS, region);
    for (const time of [
      "2026-01-01T00:00:00.000Z",
      "2026-01-01T23:59:59.999Z",
      "2027-12-31T12:00:00Z",
    ]) {
      for (const [method, more] of [
        ["GET", { range: "bytes=0-9" }],
        ["PUT", { "content-length": "5", "content-type": "a/b", "x-amz-meta-a": "  b   c " }],
      ] as const) {
        const [path, now] = ["/bucket/vol/chunks/0/0/1_0_5", new Date(time)];
        const signed = signer.sign({ method, path, host: HOST, headers: more }, now);
        const { authorization, ...headers } = signed;
        assert.equal(headers["host"], HOST);
        assert.equal(headers["x-amz-content-sha256"], "UNSIGNED-PAYLOAD");
        const trimmed = Object.entries(headers).map(([name, value]) => [name, value.trim()]);
        const request = { method, path, headers: Object.fromEntries(trimmed) };
        assert.equal(authorization, signedByMinio(request, region, now));
      }
    }
  }
});

test("a session's token is a header that is signed", () => {
  const signer = new SignerV4({ ...CREDENTIALS, sessionToken: "token" }, "us-east-1");
  const request = { method: "GET", path: "/b/k", host: HOST, headers: {} };
  const signed = signer.sign(request, new Date());
  assert.equal(signed["x-amz-security-token"], "token");
  assert.match(signed["authorization"] ?? "", /SignedHeaders=[^,]*;x-amz-security-token,/);
});
