import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { openSm4, sealSm4 } from "../base/sm4-gcm.ts";
import type { Format } from "./format.ts";

/**
 * How the secrets in `setting` are hidden (JuiceFS pkg/meta/config.go, 1.4): with a key made from the
 * volume's UUID, which lies in the same record. It keeps a password out of a glance at the screen, no more.
 */

const SECRETS = ["SecretKey", "SessionToken", "EncryptKey"] as const;
const NONCE = 12;
const TAG = 16;

/** The settings with readable secrets, as they are used in memory. @throws Error when one cannot be read */
export function revealSecrets(format: Format): Format {
  if (!format.KeyEncrypted) return format;
  return { ...mapSecrets(format, (name, text) => reveal(format, name, text)), KeyEncrypted: false };
}

/** The settings with hidden secrets, as they are stored. Without a secret nothing changes. */
export function hideSecrets(format: Format): Format {
  if (format.KeyEncrypted || SECRETS.every((name) => format[name] === "")) return format;
  return { ...mapSecrets(format, (_name, text) => hide(format, text)), KeyEncrypted: true };
}

/** For printing: secrets that are there are named as gone. */
export function removeSecrets(format: Format): Format {
  return mapSecrets(format, () => "removed");
}

function mapSecrets(format: Format, change: (name: string, text: string) => string): Format {
  const changed = { ...format };
  for (const name of SECRETS) {
    if (format[name] !== "") changed[name] = change(name, format[name]);
  }
  return changed;
}

function hide(format: Format, text: string): string {
  const nonce = randomBytes(NONCE);
  const { body, tag } = cipherOf(format).seal(nonce, Buffer.from(text));
  return Buffer.concat([nonce, body, tag]).toString("base64");
}

function reveal(format: Format, name: string, text: string): string {
  if (text === "removed") {
    throw new Error(
      `Cannot read ${name} of volume "${format.Name}": it was removed when the volume was dumped; set it again with config`,
    );
  }
  const sealed = Buffer.from(text, "base64");
  if (sealed.length < NONCE + TAG) throw unreadable(format, name);
  try {
    const body = sealed.subarray(NONCE, -TAG);
    return cipherOf(format).open(sealed.subarray(0, NONCE), body, sealed.subarray(-TAG)).toString();
  } catch (cause) {
    throw unreadable(format, name, cause);
  }
}

function unreadable(format: Format, name: string, cause?: unknown): Error {
  return new Error(
    `Cannot read ${name} of volume "${format.Name}": it was not written for this UUID`,
    {
      cause,
    },
  );
}

interface SecretCipher {
  seal(nonce: Buffer, plain: Buffer): { body: Buffer; tag: Buffer };
  open(nonce: Buffer, body: Buffer, tag: Buffer): Buffer;
}

function cipherOf(format: Format): SecretCipher {
  return format.EncryptAlgo === "sm4gcm"
    ? sm4Gcm(sm3Key(format.UUID))
    : aesGcm(md5Key(format.UUID));
}

function md5Key(uuid: string): Buffer {
  return createHash("md5").update(uuid).digest();
}

function sm3Key(uuid: string): Buffer {
  return createHash("sm3")
    .update(uuid)
    .update(Buffer.of(0, 0, 0, 1))
    .digest()
    .subarray(0, 16);
}

function aesGcm(key: Buffer): SecretCipher {
  return {
    seal(nonce, plain) {
      const cipher = createCipheriv("aes-128-gcm", key, nonce);
      return {
        body: Buffer.concat([cipher.update(plain), cipher.final()]),
        tag: cipher.getAuthTag(),
      };
    },
    open(nonce, body, tag) {
      const decipher = createDecipheriv("aes-128-gcm", key, nonce, {
        authTagLength: TAG,
      }).setAuthTag(tag);
      return Buffer.concat([decipher.update(body), decipher.final()]);
    },
  };
}

function sm4Gcm(key: Buffer): SecretCipher {
  return {
    seal(nonce, plain) {
      const { body, tag } = sealSm4(key, nonce, [plain]);
      return { body: Buffer.concat(body), tag };
    },
    open: (nonce, body, tag) => openSm4(key, nonce, { body, tag }),
  };
}
