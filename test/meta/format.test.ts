import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFormat, printFormat } from "../../src/meta/format.ts";
import { changeFormat, newFormat } from "../../src/meta/format-options.ts";
import { hideSecrets, revealSecrets } from "../../src/meta/secrets.ts";
import {
  compareVersions,
  refusalForWriting,
  requireCompatible,
} from "../../src/meta/version-gate.ts";

const UUID = "0f8d4a3e-6c5b-4f1e-9a57-2b1c3d4e5f60";

/** The worked example of the format: what JuiceFS 1.4 writes, secret encrypted. */
const WRITTEN_BY_GO = `{
"Name": "myjfs",
"UUID": "${UUID}",
"Storage": "s3",
"Tiers": {
"0": {
"ID": 0,
"StorageClass": "",
"Tag": ""
}
},
"Bucket": "http://127.0.0.1:9000/jfs",
"AccessKey": "minioadmin",
"SecretKey": "AAECAwQFBgcICQoLhXxUeDRGgeVYf2SmkD1gvYhZu6GawKyFAdw=",
"BlockSize": 4096,
"Compression": "none",
"EncryptAlgo": "aes256gcm-rsa",
"KeyEncrypted": true,
"TrashDays": 1,
"MetaVersion": 1,
"MinClientVersion": "1.1.0-A",
"DirStats": true,
"EnableACL": false
}`;

test("a setting that JuiceFS wrote is printed byte for byte", () => {
  assert.equal(printFormat(parseFormat(WRITTEN_BY_GO)), WRITTEN_BY_GO);
});

test("zero values are left out as Go leaves them out, others stay", () => {
  const text = printFormat(
    newFormat("vol", { storage: "minio", bucket: "b", trashDays: 0, dirStats: false }, UUID),
  );
  assert.match(text, /"TrashDays": 0,/);
  assert.doesNotMatch(text, /DirStats|Capacity|SecretKey|StorageClass": "",\n"Tiers/);
});

test("members of a newer client are kept in their order, large numbers to the last digit", () => {
  const text = WRITTEN_BY_GO.replace(
    '"EnableACL": false\n',
    '"EnableACL": false,\n"Zebra": 18446744073709551615,\n"Apple": {},\n"List": [\n1,\nnull,\n1.5\n]\n',
  );
  assert.equal(printFormat(parseFormat(text)), text);
});

test("a capacity beyond 2^53 stays exact where it is a multiple of GiB", () => {
  const text = WRITTEN_BY_GO.replace(
    '"EncryptAlgo"',
    '"Capacity": 9223372036854775808,\n"EncryptAlgo"',
  );
  assert.equal(printFormat(parseFormat(text)), text);
});

test("text is escaped as Go escapes it", () => {
  const text = WRITTEN_BY_GO.replace("/jfs", "/jfs?a=\\u003cb\\u003e\\u0026c\\u2028\\n");
  const format = parseFormat(text);
  assert.equal(format.Bucket, "http://127.0.0.1:9000/jfs?a=<b>&c\u2028\n");
  assert.equal(printFormat(format), text);
});

test("what is not a setting is refused in one sentence", () => {
  assert.throws(() => parseFormat("{"), /not JSON/);
  assert.throws(() => parseFormat("[]"), /not an object/);
  assert.throws(() => parseFormat('{"Name":"x"}'), /it has no UUID/);
  const wrong = (from: string, to: string) => () => parseFormat(WRITTEN_BY_GO.replace(from, to));
  assert.throws(wrong("4096", "0"), /its BlockSize is not a whole number above 0$/);
  assert.throws(wrong("4096", "null"), /its BlockSize is not a whole number above 0$/);
  assert.throws(
    wrong('"TrashDays": 1', '"TrashDays": -1'),
    /its TrashDays is not .* not negative$/,
  );
  assert.throws(wrong('"DirStats": true', '"DirStats": 1'), /its DirStats is not true or false$/);
  assert.throws(wrong('"ID": 0', '"ID": "0"'), /its Tiers is not an object of storage classes$/);
  assert.throws(wrong(/"SecretKey": "[^"]*"/.exec(WRITTEN_BY_GO)?.[0] ?? "", '"SecretKey": 55'), {
    message: "Cannot read the volume's setting: its SecretKey is not text",
  });
});

test("a member that is null is read as one that is absent, as Go reads it", () => {
  const text = WRITTEN_BY_GO.replace('"DirStats": true', '"DirStats": null');
  assert.equal(parseFormat(text).DirStats, false);
  const tiers = WRITTEN_BY_GO.replace(/"Tiers": \{[^}]*\}\n\}/, '"Tiers": null');
  assert.equal(printFormat(parseFormat(tiers)), tiers);
});

test("the secret of the worked example is read, and the UUID is its key", () => {
  const format = parseFormat(WRITTEN_BY_GO);
  const revealed = revealSecrets(format);
  assert.equal(revealed.SecretKey, "minioadmin");
  assert.equal(revealed.KeyEncrypted, false);
  assert.throws(() => revealSecrets({ ...format, UUID: UUID.replace("0", "1") }), /SecretKey/);
  assert.throws(() => revealSecrets({ ...format, SecretKey: "removed" }), /removed/);
});

test("the secret of the worked example for sm4gcm is read", () => {
  const format = {
    ...parseFormat(WRITTEN_BY_GO),
    EncryptAlgo: "sm4gcm",
    SecretKey: "AAECAwQFBgcICQoLIKPN0fWS2USv2Byp+z6mhOOzhbs3CoUYZi0=",
  };
  assert.equal(revealSecrets(format).SecretKey, "minioadmin");
});

for (const algorithm of ["aes256gcm-rsa", "sm4gcm"]) {
  test(`secrets hidden with ${algorithm} are read again`, () => {
    const format = newFormat("vol", {
      secretKey: "s3cret",
      sessionToken: "t".repeat(100),
      encryptAlgo: algorithm,
    });
    const hidden = hideSecrets(format);
    assert.equal(hidden.KeyEncrypted, true);
    assert.equal(hidden.EncryptKey, "");
    assert.doesNotMatch(printFormat(hidden), /s3cret|ttt/);
    assert.deepEqual(revealSecrets(hidden), format);
  });
}

test("without secrets nothing is encrypted", () => {
  const format = newFormat("vol", {});
  assert.equal(hideSecrets(format), format);
});

test("versions compare as JuiceFS compares them", () => {
  const ascending = [
    "0.9",
    "1.1.0-A",
    "1.1.0-beta1",
    "1.1.0-dev",
    "1.1.0-rc1",
    "1.1",
    "1.1.1",
    "1.2.0+x-y",
    "10.0",
  ];
  for (const [index, low] of ascending.entries()) {
    assert.equal(compareVersions(low, low), 0);
    for (const high of ascending.slice(index + 1))
      assert.ok(compareVersions(low, high) < 0, `${low} < ${high}`);
  }
});

test("a volume for other clients is refused with its limit", () => {
  const format = newFormat("vol", {});
  requireCompatible(format);
  assert.throws(
    () => requireCompatible({ ...format, MinClientVersion: "99.0" }),
    /needs client >= 99.0/,
  );
  assert.throws(
    () => requireCompatible({ ...format, MaxClientVersion: "1.0" }),
    /needs client <= 1.0/,
  );
  assert.throws(() => requireCompatible({ ...format, MetaVersion: 2 }), /metadata version 2/);
});

test("features that are not written yet are named", () => {
  const format = newFormat("vol", {});
  assert.equal(refusalForWriting(format, []), undefined);
  assert.match(
    refusalForWriting({ ...format, ChangeLog: true }, ["txnLog"]) ?? "",
    /uses a changelog, which/,
  );
  assert.match(
    refusalForWriting({ ...format, UserGroupQuota: true }, []) ?? "",
    /user and group quotas/,
  );
  assert.match(refusalForWriting(format, ["dirQuota"]) ?? "", /directory quotas/);
  const tiered = {
    ...format,
    Tiers: { ...format.Tiers, 1: { ID: 1, StorageClass: "IA", Tag: "" } },
  };
  assert.match(refusalForWriting(tiered, []) ?? "", /tiers/);
});

test("options of a new volume are checked and rounded", () => {
  assert.equal(newFormat("vol", { blockSizeKiB: 5000 }).BlockSize, 4096);
  assert.equal(newFormat("vol", { blockSizeKiB: 1 }).BlockSize, 64);
  assert.equal(newFormat("vol", { blockSizeKiB: 1 << 20 }).BlockSize, 16384);
  assert.equal(newFormat("vol", { bucket: "/a/b" }).Bucket, "/a/b/");
  assert.equal(newFormat("vol", { enableAcl: true }).MinClientVersion, "1.2.0-A");
  assert.throws(() => newFormat("Vol", {}), RangeError);
  assert.throws(() => newFormat("vol", { compression: "gzip" }), /gzip/);
  assert.throws(() => newFormat("vol", { shards: 257 }), /257/);
  assert.throws(() => newFormat("vol", { trashDays: -1 }), /-1/);
});

test("changing a volume touches what was asked for only", () => {
  const format = { ...newFormat("vol", { secretKey: "a" }), Future: 1 };
  assert.deepEqual(changeFormat(format, { capacityBytes: 5 }), { ...format, Capacity: 5 });
  assert.throws(() => changeFormat({ ...format, EnableACL: true }, { enableAcl: false }), /ACL/);
});
