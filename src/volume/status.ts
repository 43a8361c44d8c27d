import type { Format } from "../meta/format.ts";
import { openFormat } from "../meta/redis/open.ts";
import { listSessions, type SessionStatus } from "../meta/redis/session-status.ts";
import { readUsage } from "../meta/redis/statfs.ts";
import { removeSecrets } from "../meta/secrets.ts";

/** A volume as `juicefs status` shows it, under JuiceFS's own names. */
export interface VolumeStatus {
  readonly Setting: Format;
  readonly Sessions: readonly SessionStatus[];
  readonly Stat: {
    readonly UsedSpace: number;
    readonly AvailableSpace: number;
    readonly UsedInodes: number;
    readonly AvailableInodes: number;
  };
}

/** `sid`: this session only, with its locks and sustained inodes. @throws Error in one sentence */
export async function volumeStatus(metaUrl: string, sid?: bigint): Promise<VolumeStatus> {
  const { format, client } = await openFormat(metaUrl);
  try {
    const sessions = await listSessions(client, sid);
    const usage = await readUsage(client, format);
    return {
      Setting: removeSecrets(format),
      Sessions: sessions,
      Stat: {
        UsedSpace: usage.totalBytes - usage.availableBytes,
        AvailableSpace: usage.availableBytes,
        UsedInodes: usage.usedInodes,
        AvailableInodes: usage.availableInodes,
      },
    };
  } finally {
    client.disconnect();
  }
}
