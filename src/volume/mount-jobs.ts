import { log } from "../base/log.ts";
import type { BlockStore } from "../chunk/block-store.ts";
import { ROOT_INO } from "../meta/limits.ts";
import type { Meta, Notice } from "../meta/meta.ts";
import type { Ino } from "../meta/types.ts";
import type { DataEngine } from "../vfs/data-engine.ts";
import { compactTree, type CompactionSum } from "./compact.ts";
import { inodeInfo, type InodeInfo } from "./info.ts";
import type { JobOptions } from "./progress.ts";
import { removeTree } from "./remove-tree.ts";
import { summarize, type TreeSummary } from "./summary.ts";
import { warmUp, type WarmupAction, type WarmupSum } from "./warmup.ts";

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
    }
  | {
      readonly job: "warmup";
      readonly inos: readonly string[];
      readonly action: WarmupAction;
      readonly threads: number;
      /** Whoever asked does not wait for it. */
      readonly background: boolean;
    };

/** What each of them gives. */
export interface MountJobResults {
  readonly compact: CompactionSum;
  readonly info: InodeInfo;
  readonly summary: TreeSummary;
  readonly remove: { readonly removed: number };
  /** Null where it goes on in the background. */
  readonly warmup: WarmupSum | null;
}

export interface JobVolume {
  readonly meta: Meta;
  readonly data: DataEngine;
  readonly store: BlockStore;
  /** The inode shown as the root. */
  readonly root: Ino;
  readonly readOnly: boolean;
  readonly changed: (notice: Notice) => void;
}

export class MountJobs {
  readonly #volume: JobVolume;
  readonly #ended = new AbortController();

  constructor(volume: JobVolume) {
    this.#volume = volume;
  }

  /** @throws Error in one sentence */
  run(job: MountJob, given: JobOptions): Promise<MountJobResults[MountJob["job"]]> {
    const ended = this.#ended.signal;
    const signal = given.signal === undefined ? ended : AbortSignal.any([given.signal, ended]);
    if (this.#volume.readOnly && (job.job === "compact" || job.job === "remove")) {
      throw new Error(`Cannot ${job.job}: the mount is read-only`);
    }
    if (job.job !== "warmup" || !job.background) {
      return runMountJob(this.#volume, job, { ...given, signal });
    }
    runMountJob(this.#volume, job, { signal: ended }).then(
      (sum) => {
        log.info({ action: job.action, ...sum }, "the warm-up in the background is done");
      },
      (error: unknown) => {
        log.warn({ action: job.action, error }, "the warm-up in the background failed");
      },
    );
    return Promise.resolve(null);
  }

  /** The volume is being closed. */
  end(): void {
    this.#ended.abort(new Error("The volume is being unmounted"));
  }
}

async function runMountJob(
  volume: JobVolume,
  job: MountJob,
  options: JobOptions,
): Promise<MountJobResults[MountJob["job"]]> {
  const { meta, data, changed } = volume;
  const real = (ino: string): Ino => (BigInt(ino) === ROOT_INO ? volume.root : BigInt(ino));
  switch (job.job) {
    case "compact":
      return compactTree({ meta, compactor: data }, real(job.ino), { ...options, ...job });
    case "info":
      return inodeInfo(meta, real(job.ino), { ...options, ...job });
    case "summary":
      return summarize(meta, { ino: real(job.ino), path: job.path }, { ...options, ...job });
    case "warmup":
      return warmUp(volume, job.inos.map(real), { ...options, ...job });
    default: {
      const { skipTrash, threads } = job;
      const removal = { parent: real(job.parent), name: Buffer.from(job.name, "base64") };
      return removeTree({ meta, changed }, { ...removal, skipTrash, threads }, options);
    }
  }
}
