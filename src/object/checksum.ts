import { crc32c } from "../base/crc32c.ts";

/** The checksum that S3 objects carry as user metadata: CRC-32C in decimal (JuiceFS pkg/object/checksum.go, 1.4). */
export const CHECKSUM_HEADER = "crc32c";

export function checksumOf(parts: readonly Uint8Array[]): string {
  return String(crc32c(parts));
}

/** @throws Error when these are other bytes than were written */
export function verifyChecksum(key: string, expected: string | undefined, bytes: Uint8Array): void {
  if (expected === undefined) return;
  const found = checksumOf([bytes]);
  if (found !== expected) {
    throw new Error(
      `Cannot read object "${key}": it is damaged, its checksum is ${found} instead of ${expected}`,
    );
  }
}
