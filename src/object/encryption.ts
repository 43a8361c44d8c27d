import {
  constants,
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
  type KeyObject,
} from "node:crypto";
import { openSm4, sealSm4 } from "../base/sm4-gcm.ts";

/**
 * How an object is encrypted (JuiceFS pkg/object/encrypt.go, 1.4): a data key and a nonce of its own, the data key wrapped
 * with the volume's RSA key. In front stand the lengths of both, 2 bytes and 1 byte. Works in the thread that calls.
 */
export interface Encryption {
  readonly cipher: BlockCipher;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** Bytes that an object is longer than what it holds. */
  readonly overhead: number;
}

interface BlockCipher {
  readonly keyBytes: number;
  seal(key: Buffer, nonce: Buffer, parts: readonly Uint8Array[]): { body: Buffer[]; tag: Buffer };
  /** @throws Error where the tag is another one */
  open(key: Buffer, nonce: Uint8Array, body: Uint8Array, tag: Uint8Array): Buffer;
}

const NONCE = 12;
const TAG = 16;
const HEAD = 3;
/** Both the hash of OAEP and that of its mask. */
const WRAPPING = {
  padding: constants.RSA_PKCS1_OAEP_PADDING,
  oaepHash: "sha256",
  oaepLabel: Buffer.from("keys"),
};

const ciphers: Readonly<Record<string, BlockCipher>> = {
  "aes256gcm-rsa": native("aes-256-gcm"),
  "chacha20-rsa": native("chacha20-poly1305"),
  sm4gcm: {
    keyBytes: 16,
    seal: sealSm4,
    open: (key, nonce, body, tag) => openSm4(key, nonce, { body, tag }),
  },
};

export const ENCRYPTION_ALGORITHMS = ["aes256gcm-rsa", "chacha20-rsa", "sm4gcm"] as const;

/**
 * Reads the key of a volume: PKCS#1 or PKCS#8 in PEM, plain or encrypted with a passphrase.
 *
 * @throws Error in one sentence, without key or passphrase
 */
export function encryptionOf(pem: string, algorithm: string, passphrase?: string): Encryption {
  const cipher = ciphers[algorithm === "" ? "aes256gcm-rsa" : algorithm];
  if (cipher === undefined) {
    throw new Error(
      `Cannot use encryption "${algorithm}": expected ${ENCRYPTION_ALGORITHMS.join(", ")}`,
    );
  }
  const privateKey = readKey(pem, passphrase);
  if (privateKey.asymmetricKeyType !== "rsa") {
    const type = privateKey.asymmetricKeyType ?? "SM2 or unknown";
    throw new Error(
      `Cannot use the encryption key: it is ${type}, this client knows RSA keys only`,
    );
  }
  const wrapped = (privateKey.asymmetricKeyDetails?.modulusLength ?? 0) / 8;
  return {
    ...{ cipher, privateKey, publicKey: createPublicKey(privateKey) },
    overhead: HEAD + wrapped + NONCE + TAG,
  };
}

function readKey(pem: string, passphrase: string | undefined): KeyObject {
  const protectedKey = /ENCRYPTED/.test(pem);
  if (protectedKey && (passphrase ?? "") === "") {
    throw new Error(
      "Cannot read the encryption key: it is protected; put its passphrase into JFS_RSA_PASSPHRASE",
    );
  }
  try {
    return createPrivateKey({ key: pem, ...(protectedKey ? { passphrase } : {}) });
  } catch (cause) {
    const why = protectedKey
      ? "JFS_RSA_PASSPHRASE is not its passphrase, or it is no private key in PEM"
      : "expected a private key in PEM, such as openssl genrsa makes";
    throw new Error(`Cannot read the encryption key: ${why}`, {
      cause,
    });
  }
}

/** Encrypts the concatenation of `parts`; what comes back is to be stored one after the other. */
export function seal(encryption: Encryption, parts: readonly Uint8Array[]): Uint8Array[] {
  const { cipher, publicKey } = encryption;
  const key = randomBytes(cipher.keyBytes);
  const nonce = randomBytes(NONCE);
  const wrapped = publicEncrypt({ key: publicKey, ...WRAPPING }, key);
  const head = Buffer.alloc(HEAD);
  head.writeUInt16BE(wrapped.length, 0);
  head.writeUInt8(NONCE, 2);
  const { body, tag } = cipher.seal(key, nonce, parts);
  return [Buffer.concat([head, wrapped, nonce]), ...body, tag];
}

/** @throws Error when it was not encrypted for this key, or changed since */
export function unseal({ cipher, privateKey }: Encryption, sealed: Uint8Array): Buffer {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.length);
  const wrappedEnd = HEAD + (bytes.length < HEAD ? 0 : bytes.readUInt16BE(0));
  const nonceEnd = wrappedEnd + (bytes[2] ?? 0);
  if (bytes.length < nonceEnd + TAG || nonceEnd - wrappedEnd !== NONCE) {
    throw new Error("it is not encrypted as this volume's objects are");
  }
  try {
    const wrapped = bytes.subarray(HEAD, wrappedEnd);
    const key = privateDecrypt({ key: privateKey, ...WRAPPING }, wrapped);
    if (key.length !== cipher.keyBytes) throw new Error("Wrong length of the data key");
    const nonce = bytes.subarray(wrappedEnd, nonceEnd);
    return cipher.open(key, nonce, bytes.subarray(nonceEnd, -TAG), bytes.subarray(-TAG));
  } catch (cause) {
    throw new Error("it cannot be decrypted: written with another key, or damaged", { cause });
  }
}

function native(name: "aes-256-gcm" | "chacha20-poly1305"): BlockCipher {
  const options = { authTagLength: TAG };
  return {
    keyBytes: 32,
    seal(key, nonce, parts) {
      const cipher = createCipheriv(name as "aes-256-gcm", key, nonce, options);
      const body = parts.map((part) => cipher.update(part));
      cipher.final();
      return { body, tag: cipher.getAuthTag() };
    },
    open(key, nonce, body, tag) {
      const decipher = createDecipheriv(name as "aes-256-gcm", key, nonce, options);
      decipher.setAuthTag(tag);
      const plain = decipher.update(body);
      decipher.final();
      return plain;
    },
  };
}
