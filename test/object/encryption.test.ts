import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  constants,
  createPublicKey,
  generateKeyPairSync,
  publicEncrypt,
  randomBytes,
} from "node:crypto";
import { test } from "node:test";
import { encryptionOf, ENCRYPTION_ALGORITHMS, seal, unseal } from "../../src/object/encryption.ts";

const PEM = openssl(["genrsa", "2048"]);

function openssl(args: string[], input: string | Buffer = ""): string {
  return execFileSync("openssl", args, { input, stdio: ["pipe", "pipe", "ignore"] }).toString();
}

test("an object is the wrapped key, the nonce, what was encrypted and a tag", () => {
  for (const algorithm of ENCRYPTION_ALGORITHMS) {
    const encryption = encryptionOf(PEM, algorithm);
    for (const size of [0, 1, 36, 100_000]) {
      const plain = randomBytes(size);
      const parts = seal(encryption, [plain.subarray(0, size >> 1), plain.subarray(size >> 1)]);
      const sealed = Buffer.concat(parts);
      assert.equal(sealed.length, size + 287);
      assert.equal(encryption.overhead, 287);
      assert.equal(sealed.subarray(0, 3).toString("hex"), "01000c");
      assert.deepEqual(unseal(encryption, sealed), plain);
      assert.notDeepEqual(Buffer.concat(seal(encryption, [plain])), sealed);
    }
  }
});

test("an object that was changed, cut or written with another key is refused", () => {
  const encryption = encryptionOf(PEM, "");
  const sealed = Buffer.concat(seal(encryption, [Buffer.from("secret")]));
  for (const at of [0, 2, 100, 260, 272, sealed.length - 1]) {
    const changed = Buffer.from(sealed);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.throws(() => unseal(encryption, changed), /^Error: it (is not|cannot be) /, `${at}`);
  }
  for (const length of [0, 2, 270, sealed.length - 1]) {
    assert.throws(
      () => unseal(encryption, sealed.subarray(0, length)),
      /^Error: it (is not|cannot)/,
    );
  }
  const other = encryptionOf(openssl(["genrsa", "2048"]), "aes256gcm-rsa");
  assert.throws(() => unseal(other, sealed), /written with another key/);
  const chacha = encryptionOf(PEM, "chacha20-rsa");
  assert.throws(() => unseal(chacha, sealed), /it cannot be decrypted/);
});

test("a data key of the wrong length is refused", () => {
  const encryption = encryptionOf(PEM, "aes256gcm-rsa");
  const how = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" };
  const key = { key: createPublicKey(PEM), ...how, oaepLabel: Buffer.from("keys") };
  const wrapped = publicEncrypt(key, randomBytes(16));
  const sealed = Buffer.concat([Buffer.of(1, 0, 12), wrapped, randomBytes(40)]);
  assert.throws(() => unseal(encryption, sealed), /it cannot be decrypted/);
});

test("keys are read as PKCS#1 and PKCS#8, plain and protected in every way", () => {
  const sealed = Buffer.concat(seal(encryptionOf(PEM, ""), [Buffer.from("kept")]));
  const pass = ["-passout", "pass:one two"];
  const forms = [
    openssl(["rsa", "-traditional"], PEM),
    openssl(["pkcs8", "-topk8", "-nocrypt"], PEM),
    openssl(["rsa", "-traditional", "-aes256", ...pass], PEM),
    openssl(["rsa", "-traditional", "-des3", ...pass], PEM),
    openssl(["pkcs8", "-topk8", "-v2", "aes-256-cbc", ...pass], PEM),
  ];
  assert.deepEqual(
    forms.map((pem) => /BEGIN ([A-Z ]+)-/.exec(pem)?.[1]),
    [
      ...["RSA PRIVATE KEY", "PRIVATE KEY", "RSA PRIVATE KEY", "RSA PRIVATE KEY"],
      "ENCRYPTED PRIVATE KEY",
    ],
  );
  for (const [index, pem] of forms.entries()) {
    const encryption = encryptionOf(pem, "", "one two");
    assert.equal(unseal(encryption, sealed).toString(), "kept");
    if (index < 2) continue;
    assert.throws(() => encryptionOf(pem, "", "other"), /JFS_RSA_PASSPHRASE is not its passphrase/);
    assert.throws(() => encryptionOf(pem, ""), /it is protected; put its passphrase into JFS_RSA/);
  }
});

test("what cannot be used as a key is told by name, without the key", () => {
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const sm2 = openssl(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:SM2"]);
  const cases: [string, string, RegExp][] = [
    ["no key", "", /expected a private key in PEM/],
    [PEM.replaceAll("\n", ""), "", /expected a private key in PEM/],
    [openssl(["rsa", "-pubout"], PEM), "", /expected a private key in PEM/],
    [ec.export({ type: "pkcs8", format: "pem" }).toString(), "", /it is ec, this client knows RSA/],
    [sm2, "sm4gcm", /it is SM2 or unknown, this client knows RSA keys only/],
    [PEM, "rot13", /Cannot use encryption "rot13": expected aes256gcm-rsa, chacha20-rsa, sm4gcm/],
  ];
  for (const [pem, algorithm, expected] of cases) {
    assert.throws(() => encryptionOf(pem, algorithm), expected);
  }
});
