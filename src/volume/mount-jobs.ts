import { ROOT_INO } from "../meta/limits.ts";
import type { Meta, Notice } from "../meta/meta.ts";
import type { Ino } from "../meta/types.ts";
import type { DataEngine } from "../vfs/data-engine.ts";
import { compactTree, type CompactionSum } from "./compact.ts";
import { inodeInfo, type InodeInfo } from "./info.ts";
import type { JobOptions } from "./progress.ts";
import { removeTree } from "./remove-tree.ts";
import { summarize, type TreeSummary } from "./summary.ts";

/**
 * What the process that serves a mount is asked to do with files: it has their data, their locks and a session. Inodes are
 * those that the mount shows, in decimal; names are base64.
 */
export type MountJob =
  | { readonly job: "compact"; readonly ino: string; readonly threads: number }
  | { readonly job: "info"; readonly ino: string; readonly recursive: boolean }
  | {
      readonly job: "summary";
      readonly ino: string;
      readonly path: string;
      readonly depth: number;
      readonly entries: number;
    }
  | {
      readonly job: "remove";
      readonly parent: string;
      readonly name: string;
      readonly skipTrash: boolean;
      readonly threads: number;
    };

/** What each of them gives. */
export interface MountJobResults {
  readonly compact: CompactionSum;
  readonly info: InodeInfo;
  readonly summary: TreeSummary;
  readonly remove: { readonly removed: number };
}

export interface JobVolume {
  readonly meta: Meta;
  readonly data: DataEngine;
  /** The inode shown as the root. */
  readonly root: Ino;
  readonly readOnly: boolean;
  readonly changed: (notice: Notice) => void;
}

/** @throws Error in one sentence */
export async function runMountJob(
  volume: JobVolume,
  job: MountJob,
  options: JobOptions,
): Promise<MountJobResults[MountJob["job"]]> {
  const { meta, data, changed } = volume;
  const real = (ino: string): Ino => (BigInt(ino) === ROOT_INO ? volume.root : BigInt(ino));
  if (volume.readOnly && (job.job === "compact" || job.job === "remove")) {
    throw new Error(`Cannot ${job.job}: the mount is read-only`);
  }
  switch (job.job) {
    case "compact":
      return compactTree({ meta, compactor: data }, real(job.ino), { ...options, ...job });
    case "info":
      return inodeInfo(meta, real(job.ino), { ...options, ...job });
    case "summary":
      return summarize(meta, { ino: real(job.ino), path: job.path }, { ...options, ...job });
    default: {
      const { skipTrash, threads } = job;
      const removal = { parent: real(job.parent), name: Buffer.from(job.name, "base64") };
      return removeTree({ meta, changed }, { ...removal, skipTrash, threads }, options);
    }
  }
}
