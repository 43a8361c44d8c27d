import { changeFormat } from "../meta/format-options.ts";
import type { Format } from "../meta/format.ts";
import { gatesInUse, saveFormat } from "../meta/redis/format-store.ts";
import { openFormat } from "../meta/redis/open.ts";
import { listSessions, type SessionStatus } from "../meta/redis/session-status.ts";
import { removeSecrets } from "../meta/secrets.ts";
import { compareVersions } from "../meta/version-gate.ts";
import { tryStorage } from "./try-storage.ts";
import type { ConfigValues } from "../options/config.ts";

/** Shows or changes the settings of a volume (JuiceFS cmd/config.go, 1.4). */

export interface ConfigRequest {
  readonly metaUrl: string;
  readonly values: ConfigValues;
  /** Without trying the storage, and whoever is mounted. */
  readonly force?: boolean | undefined;
}

/** A setting that was changed; secrets are not shown. */
export interface SettingChange {
  readonly name: string;
  readonly from: string;
  readonly to: string;
}

/** The settings, without secrets. @throws Error in one sentence */
export async function showConfig(metaUrl: string): Promise<Format> {
  const { format, client } = await openFormat(metaUrl);
  client.disconnect();
  return removeSecrets(format);
}

/** @throws Error in one sentence; nothing is changed then */
export async function changeConfig(request: ConfigRequest): Promise<SettingChange[]> {
  const { format: old, client } = await openFormat(request.metaUrl);
  try {
    const format = changeFormat(old, optionsOf(request.values));
    const changes = changesOf(old, format);
    if (changes.length === 0) return [];
    requireRaised(old, format);
    requireNoQuotas(await gatesInUse(client), old, format);
    if (request.force !== true) {
      requireWelcome(await listSessions(client), old, format);
      if (STORAGE.some((name) => old[name] !== format[name])) await tryStorage(format);
    }
    await saveFormat(client, format);
    return changes;
  } finally {
    client.disconnect();
  }
}

const STORAGE = ["Storage", "Bucket", "AccessKey", "SecretKey", "SessionToken"] as const;

function requireRaised(old: Format, format: Format): void {
  const [before, after] = [old.MinClientVersion, format.MinClientVersion];
  if (before !== "" && compareVersions(after, before) < 0) {
    throw new Error(
      `Cannot set min-client-version of volume "${old.Name}" to ${after}: it is ${before} and can only be raised`,
    );
  }
  if (format.MaxClientVersion !== "") compareVersions(format.MaxClientVersion, after || "0");
}

/** Whoever is mounted now must be able to stay. */
function requireWelcome(sessions: readonly SessionStatus[], old: Format, format: Format): void {
  const { MinClientVersion: least, MaxClientVersion: most } = format;
  if (least === old.MinClientVersion && most === old.MaxClientVersion) return;
  const shutOut = sessions.filter(
    ({ Version }) =>
      (least !== "" && compareVersions(Version, least) < 0) ||
      (most !== "" && compareVersions(Version, most) > 0),
  );
  if (shutOut.length === 0) return;
  const names = shutOut.map((one) => `${one.HostName}:${one.MountPoint} (${one.Version})`);
  throw new Error(
    `Cannot change the client versions of volume "${old.Name}": ${names.join(", ")} could not mount it again; unmount there first, or use --force`,
  );
}

function requireNoQuotas(gates: readonly string[], old: Format, format: Format): void {
  if (!old.DirStats || format.DirStats || !gates.includes("dirQuota")) return;
  throw new Error(
    `Cannot turn dir-stats off on volume "${old.Name}": directories have quotas, which need them`,
  );
}

function optionsOf(values: ConfigValues): Parameters<typeof changeFormat>[1] {
  return {
    ...{ storage: values.storage, bucket: values.bucket },
    ...{ accessKey: values["access-key"], secretKey: values["secret-key"] },
    ...{ sessionToken: values["session-token"], storageClass: values["storage-class"] },
    ...{ tag: values.tag, capacityBytes: values.capacity, inodes: values.inodes },
    ...{ uploadLimitMbps: values["upload-limit"], downloadLimitMbps: values["download-limit"] },
    ...{ trashDays: values["trash-days"], enableAcl: values["enable-acl"] },
    ...{ dirStats: values["dir-stats"], minClientVersion: values["min-client-version"] },
    maxClientVersion: values["max-client-version"],
  };
}

function changesOf(old: Format, format: Format): SettingChange[] {
  const [before, after] = [removeSecrets(old), removeSecrets(format)];
  return Object.keys(format)
    .filter((name) => JSON.stringify(old[name]) !== JSON.stringify(format[name]))
    .map((name) => ({ name, from: shown(before[name]), to: shown(after[name]) }));
}

function shown(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
