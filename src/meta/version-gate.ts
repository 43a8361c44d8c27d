import { COMPATIBLE_VERSION } from "../base/version.ts";
import type { Format } from "./format.ts";

/**
 * Who may use a volume: the gates that every JuiceFS client checks when it opens one, and our own,
 * against writing where a feature asks for records that we do not keep.
 */

const META_VERSION = 1;

/** Keys whose presence tells that somebody counts on bookkeeping of ours that does not exist. */
export const WRITE_GATES: Readonly<Record<string, string>> = {
  dirQuota: "directory quotas",
  txnLog: "a changelog",
};

/**
 * Checks the limits of versions that the volume carries.
 *
 * @throws Error naming the volume, its limit and our version
 */
export function requireCompatible(format: Format): void {
  const name = `Volume "${format.Name}"`;
  if (format.MetaVersion > META_VERSION) {
    throw new Error(
      `${name} has metadata version ${format.MetaVersion}, this client knows ${META_VERSION}: use a newer client`,
    );
  }
  const { MinClientVersion: least, MaxClientVersion: most } = format;
  if (least !== "" && compareVersions(COMPATIBLE_VERSION, least) < 0) {
    throw new Error(
      `${name} needs client >= ${least}, this one is ${COMPATIBLE_VERSION}: use a newer client`,
    );
  }
  if (most !== "" && compareVersions(COMPATIBLE_VERSION, most) > 0) {
    throw new Error(
      `${name} needs client <= ${most}, this one is ${COMPATIBLE_VERSION}: raise its max-client-version with config`,
    );
  }
}

/**
 * Why this client must not write to the volume, in one sentence; undefined when it may. `keys`: which keys
 * of WRITE_GATES exist.
 */
export function refusalForWriting(format: Format, keys: readonly string[]): string | undefined {
  const features = [
    ...(format.ChangeLog ? ["a changelog"] : []),
    ...(format.UserGroupQuota ? ["user and group quotas"] : []),
    ...(usesTiers(format) ? ["storage tiers"] : []),
    ...keys.map((key) => WRITE_GATES[key]).filter((feature) => feature !== undefined),
  ];
  if (features.length === 0) return undefined;
  const list = [...new Set(features)].join(", ");
  return `Volume "${format.Name}" uses ${list}, which this client cannot keep up to date: mount it read-only`;
}

function usesTiers(format: Format): boolean {
  return Object.keys(format.Tiers ?? {}).some((id) => id !== "0");
}

/**
 * Compares as JuiceFS does (pkg/version, 1.4): what follows `+` is ignored, a release is above its
 * pre-releases, and those compare as text. Negative, zero or positive.
 */
export function compareVersions(left: string, right: string): number {
  const [a, b] = [parseVersion(left), parseVersion(right)];
  for (const index of [0, 1, 2] as const) {
    if (a.numbers[index] !== b.numbers[index]) return a.numbers[index] - b.numbers[index];
  }
  if (a.preRelease === b.preRelease) return 0;
  if (a.preRelease === "") return 1;
  if (b.preRelease === "") return -1;
  return a.preRelease < b.preRelease ? -1 : 1;
}

function parseVersion(text: string): { numbers: [number, number, number]; preRelease: string } {
  const [version = ""] = text.split("+", 1);
  const dash = version.indexOf("-");
  const release = dash < 0 ? version : version.slice(0, dash);
  const parts = release.split(".");
  if (parts.length > 3 || !parts.every((part) => /^\d+$/.test(part))) {
    throw new Error(
      `Cannot read the version "${text}": expected up to three numbers, such as 1.2.0`,
    );
  }
  const [major = 0, minor = 0, patch = 0] = parts.map(Number);
  return { numbers: [major, minor, patch], preRelease: dash < 0 ? "" : version.slice(dash + 1) };
}
