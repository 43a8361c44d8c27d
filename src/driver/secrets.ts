import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { isAbsolute, join, normalize } from "node:path";
import { readOrMakeKey } from "./state-file.ts";
import type { VolumeOptions } from "./options.ts";

/**
 * What nobody may read: sealed in the state file with a key that lies beside it (a copy of the state alone tells nothing),
 * or in files of the administrator that are read when they are needed, and never copied.
 */

const NONCE = 12;
const TAG = 16;
const FILE_MAX = 64 << 10;

export type Secrets = Readonly<Record<string, string>>;

/** Seals and opens the secrets of volumes. A name is part of the seal: one volume's do not open as another's. */
export class Vault {
  readonly #keyFile: string;
  #making: Promise<Buffer> | undefined;

  constructor(keyFile: string) {
    this.#keyFile = keyFile;
  }

  /** @throws Error when there is no key and none can be made */
  async seal(volume: string, secrets: Secrets): Promise<string> {
    if (Object.keys(secrets).length === 0) return "";
    const nonce = randomBytes(NONCE);
    const cipher = createCipheriv("aes-256-gcm", await this.#key(), nonce);
    cipher.setAAD(Buffer.from(volume));
    const body = Buffer.concat([cipher.update(JSON.stringify(secrets)), cipher.final()]);
    return Buffer.concat([nonce, body, cipher.getAuthTag()]).toString("base64");
  }

  /** Two volumes created at once share the key that is made. */
  async #key(): Promise<Buffer> {
    this.#making ??= readOrMakeKey(this.#keyFile).finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  /** @throws Error when the key is not the one they were sealed with */
  open(volume: string, sealed: string): Secrets {
    if (sealed === "") return {};
    const bytes = Buffer.from(sealed, "base64");
    try {
      const key = readFileSync(this.#keyFile);
      const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, NONCE), {
        authTagLength: TAG,
      });
      decipher.setAAD(Buffer.from(volume)).setAuthTag(bytes.subarray(-TAG));
      const body = bytes.subarray(NONCE, -TAG);
      return JSON.parse(
        Buffer.concat([decipher.update(body), decipher.final()]).toString(),
      ) as Secrets;
    } catch (cause) {
      throw new Error(
        `Cannot read the secrets of volume "${volume}": "${this.#keyFile}" is not the key they were sealed with; restore that file, or remove and create the volume again (its data stays)`,
        { cause },
      );
    }
  }
}

/**
 * The secrets of a volume with what lies in files (`secret-key-file`). A relative name lies in `folder`.
 *
 * @throws Error in one sentence; never with what a file holds
 */
export function withSecretFiles({ given, secrets }: VolumeOptions, folder: string): Secrets {
  const files = Object.entries(given).filter(([option]) => option.endsWith("-file"));
  const read = files.map(([option, path]) => [
    option.replace(/-file$/, ""),
    readSecretFile(option, path, folder),
  ]);
  return { ...secrets, ...(Object.fromEntries(read) as Secrets) };
}

function readSecretFile(option: string, given: string, folder: string): string {
  const path = isAbsolute(given) ? given : join(folder, given);
  const refuse = (reason: string, cause?: unknown): Error =>
    new Error(`Cannot use ${option} "${given}": ${reason}`, { cause });
  if (!isAbsolute(given) && normalize(given).startsWith("..")) {
    throw refuse(`a relative name lies in ${folder}`);
  }
  try {
    if (statSync(path).size > FILE_MAX) throw refuse("it is too large for a secret");
    const text = readFileSync(path, "utf8").replace(/\r?\n$/, "");
    if (text === "") throw refuse("it is empty");
    return text;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw refuse(`${path}: ${code === "ENOENT" ? "there is no such file" : code}`, error);
  }
}

/** A URL as it may be shown: without what stands before the `@`. */
export function maskUrl(url: string): string {
  return url.replace(/\/\/.*@/s, "//***@");
}

/** `text` without any of the secrets, as they are and as they stand in URLs; a URL without a password is none. */
export function scrub(text: string, secrets: Secrets): string {
  const hidden = Object.values(secrets)
    .flatMap((secret) => (/^\w+:\/\//.test(secret) ? hiddenOfUrl(secret) : hiddenText(secret)))
    .filter(([value]) => value.length > 2)
    .toSorted(([one], [other]) => other.length - one.length);
  return hidden.reduce((masked, [value, instead]) => masked.replaceAll(value, instead), text);
}

type Hidden = [value: string, instead: string];

function hiddenText(secret: string): Hidden[] {
  return [
    [secret, "***"],
    [encodeURIComponent(secret), "***"],
  ];
}

function hiddenOfUrl(url: string): Hidden[] {
  const [, password] = /\/\/[^:@/]*:(.*)@/s.exec(url) ?? [];
  if (password === undefined) return [];
  let plain = password;
  try {
    plain = decodeURIComponent(password);
  } catch {
    // Not encoded: it is the password as it stands.
  }
  return [[url, maskUrl(url)], [password, "***"], ...hiddenText(plain)];
}
