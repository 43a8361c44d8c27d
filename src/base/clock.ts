/**
 * The wall clock with nanoseconds. Node tells it in milliseconds; what lies between comes from the monotonic clock, fitted into the
 * millisecond. Two readings of one process differ and never go backwards, so that a later change has a later time, unless
 * the machine's clock is set back by more than a second.
 */

const MILLISECOND = 1_000_000n;
const SECOND = 1_000_000_000n;

/** Wall clock less monotonic clock, as far as it is known. */
let offset = 0n;
let last = 0n;

export function wallClock(): { readonly sec: number; readonly nsec: number } {
  const monotonic = process.hrtime.bigint();
  const earliest = BigInt(Date.now()) * MILLISECOND;
  const latest = earliest + MILLISECOND - 1n;
  let now = monotonic + offset;
  if (now < earliest || now > latest) {
    now = now < earliest ? earliest : latest;
    offset = now - monotonic;
  }
  if (now <= last && last - now < SECOND) now = last + 1n;
  last = now;
  return { sec: Number(now / SECOND), nsec: Number(now % SECOND) };
}
