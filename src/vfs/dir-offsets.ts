import type { Listing } from "./name-records.ts";

/**
 * Offsets of a directory's entries. An offset is a number; in a listing from memory above it stands which one it counts in, and
 * it is behind those when it is larger than any such listing. Programs of 32 bits take 31.
 */

/** `.` and `..` have the numbers 0 and 1. */
export const DOTS = 2;
const NUMBER_BITS = 18n;
const NUMBER_MASK = (1n << NUMBER_BITS) - 1n;
const BEHIND = 1n << 31n;

export function numberOf(offset: bigint): number {
  return Number(offset >= BEHIND ? offset - BEHIND : offset & NUMBER_MASK);
}

/** `listing`: from memory, or undefined. */
export function offsetOf(number: number, listing: Listing | undefined): bigint {
  const plain = BigInt(number);
  if (listing === undefined) return plain > NUMBER_MASK ? plain + BEHIND : plain;
  if (number < DOTS) return plain;
  return (BigInt(listing.generation) << NUMBER_BITS) | plain;
}
