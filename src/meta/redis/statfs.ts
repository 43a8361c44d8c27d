import type { Redis } from "ioredis";
import type { Format } from "../format.ts";
import type { VolumeUsage } from "../types.ts";
import type { MetaContext } from "./context.ts";

/**
 * How full the volume is (JuiceFS pkg/meta/base.go `StatFS`, 1.4). One round trip; a server that is slow is not waited for:
 * what the last heartbeat saw does, so that `df` never hangs. While nothing changes in the volume nobody is asked again.
 */

/** The volume's counters as last seen. */
export interface UsageCounters {
  usedBytes: number;
  usedInodes: number;
  /** When that was asked for, among the volume's changes and by a clock that never jumps. */
  asked?: { readonly changes: number; readonly at: number };
}

const PATIENCE_MS = 150;
/** Tools change things without a word. */
const KEEP_MS = 60_000;
/** What a volume without limits is said to hold, until it is nearly full. */
const UNLIMITED_BYTES = 2 ** 50;
const UNLIMITED_INODES = 10 * 2 ** 20;

export async function statfs(context: MetaContext): Promise<VolumeUsage> {
  if (isFresh(context)) return usageOf(context.format(), context.usage);
  const patience = Promise.withResolvers<void>();
  const timer = setTimeout(patience.resolve, PATIENCE_MS);
  refresh(context).then(patience.resolve, patience.resolve);
  await patience.promise;
  clearTimeout(timer);
  return usageOf(context.format(), context.usage);
}

function isFresh({ trust, usage, changes }: MetaContext): boolean {
  const { asked } = usage;
  if (asked === undefined || trust() !== "long") return false;
  return asked.changes === changes() && performance.now() - asked.at < KEEP_MS;
}

async function refresh({ client, usage, changes }: MetaContext): Promise<void> {
  const asked = { changes: changes(), at: performance.now() };
  Object.assign(usage, await readCounters(client), { asked });
}

/** The same for a volume that is not mounted here. */
export async function readUsage(client: Redis, format: Format): Promise<VolumeUsage> {
  return usageOf(format, await readCounters(client));
}

async function readCounters(client: Redis): Promise<UsageCounters> {
  const [space, inodes] = await client.mget("usedSpace", "totalInodes");
  return { usedBytes: Number(space ?? 0), usedInodes: Number(inodes ?? 0) };
}

/** What df shows of these limits and counters. */
export function usageOf(format: Format, counters: UsageCounters): VolumeUsage {
  const used = Math.max(counters.usedBytes, 0);
  const usedInodes = Math.max(counters.usedInodes, 0);
  const totalBytes = format.Capacity > 0 ? Math.max(format.Capacity, used) : unlimitedBytes(used);
  const availableInodes =
    format.Inodes > 0 ? Math.max(format.Inodes - usedInodes, 0) : unlimitedInodes(usedInodes);
  return { totalBytes, availableBytes: totalBytes - used, usedInodes, availableInodes };
}

function unlimitedBytes(used: number): number {
  let total = UNLIMITED_BYTES;
  while (total * 8 < used * 10) total *= 2;
  return total;
}

function unlimitedInodes(used: number): number {
  let available = UNLIMITED_INODES;
  while (used > available * 4) available *= 2;
  return available;
}
