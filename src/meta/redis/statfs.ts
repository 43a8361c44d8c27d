import type { VolumeUsage } from "../types.ts";
import type { MetaContext } from "./context.ts";
import { translated } from "./scripts.ts";

const PIB = 2 ** 50;
const FREE_INODES = 10 * 2 ** 20;

/** How full the volume is (JuiceFS pkg/meta/base.go `StatFS`, 1.4). One round trip. */
export async function statfs(context: MetaContext): Promise<VolumeUsage> {
  const [space, inodes] = await context.answers.ask("statfs", async () => {
    try {
      return await context.client.mget("usedSpace", "totalInodes");
    } catch (error) {
      throw translated(error, "statfs");
    }
  });
  const { Capacity, Inodes } = context.format();
  const used = Math.max(Number(space ?? 0), 0);
  const usedInodes = Math.max(Number(inodes ?? 0), 0);
  const totalBytes = Capacity > 0 ? Capacity : unlimited(PIB, (total) => total * 8 < used * 10);
  const freeInodes =
    Inodes > 0
      ? Math.max(Inodes - usedInodes, 0)
      : unlimited(FREE_INODES, (n) => usedInodes > n * 4);
  return {
    totalBytes,
    availableBytes: Math.max(totalBytes - used, 0),
    usedInodes,
    availableInodes: freeInodes,
  };
}

/** A figure that is never short: doubled while it would look small beside what is used. */
function unlimited(start: number, tooSmall: (value: number) => boolean): number {
  let value = start;
  while (tooSmall(value)) value *= 2;
  return value;
}
