import { crc32c as native } from "@node-rs/crc32";

/** CRC-32C (Castagnoli) of the concatenation of `parts`, computed natively. */
export function crc32c(parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) sum = native(part, sum);
  return sum;
}
