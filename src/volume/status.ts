import type { Format } from "../meta/format.ts";
import { openFormat } from "../meta/redis/open.ts";
import { describeSession, listSessions, type SessionStatus } from "../meta/redis/session-status.ts";
import { readUsage } from "../meta/redis/statfs.ts";
import { removeSecrets } from "../meta/secrets.ts";
import type { JobOptions } from "./progress.ts";
import { sumRemoved, type RemovedSums } from "./removed-sums.ts";

/** A volume as `juicefs status` shows it, under JuiceFS's own names. */
export interface VolumeStatus {
  readonly Setting: Format;
  readonly Sessions: readonly SessionStatus[];
  readonly Stat: {
    readonly UsedSpace: number;
    readonly AvailableSpace: number;
    readonly UsedInodes: number;
    readonly AvailableInodes: number;
  } & Partial<RemovedSums>;
}

export interface StatusRequest {
  readonly metaUrl: string;
  /** Also what was removed and still takes room: a walk over all of it. */
  readonly more: boolean;
}

/** Which volume lies there. @throws Error in one sentence */
export async function volumeUuid(metaUrl: string): Promise<string> {
  const { format, client } = await openFormat(metaUrl);
  client.disconnect();
  return format.UUID;
}

/** A session with its locks and sustained inodes. @throws Error in one sentence */
export async function sessionStatus(metaUrl: string, sid: bigint): Promise<SessionStatus> {
  const { client } = await openFormat(metaUrl);
  try {
    return await describeSession(client, sid);
  } finally {
    client.disconnect();
  }
}

/** @throws Error in one sentence */
export async function volumeStatus(
  { metaUrl, more }: StatusRequest,
  options: JobOptions,
): Promise<VolumeStatus> {
  const { format, client } = await openFormat(metaUrl);
  try {
    const sessions = await listSessions(client);
    const usage = await readUsage(client, format);
    return {
      Setting: removeSecrets(format),
      Sessions: sessions,
      Stat: {
        UsedSpace: usage.totalBytes - usage.availableBytes,
        AvailableSpace: usage.availableBytes,
        UsedInodes: usage.usedInodes,
        AvailableInodes: usage.availableInodes,
        ...(more ? await sumRemoved(metaUrl, client, options) : {}),
      },
    };
  } finally {
    client.disconnect();
  }
}
