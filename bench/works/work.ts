import type { LoadPool } from "../load/pool.ts";
import type { Task } from "../load/tasks.ts";
import type { Target } from "../targets.ts";

/** How much of each work is done. */
export interface Scale {
  /** Files, directories, renames and so on of one process. */
  readonly names: number;
  /** Entries of a directory that is listed. */
  readonly listed: number;
  /** Small files of one process. */
  readonly files: number;
  /** Of the large file. */
  readonly largeBytes: number;
  /** Writes at random places. */
  readonly writes: number;
  /** Of works that are bounded by time. */
  readonly seconds: number;
}

/** Where a work is done: on one target, in one round. */
export interface Stage {
  readonly target: Target;
  readonly scale: Scale;
  readonly pool: LoadPool;
  /** A new, empty folder of this round. */
  readonly folder: string;
  /** A folder that is filled once a target and serves all rounds. */
  readonly shared: (name: string, fill: (folder: string) => Promise<void>) => Promise<string>;
  /** Makes the client forget what it keeps, or the kernel at least the pages of what is in the folder. Mountpoints move. */
  readonly forget: (folder: string) => Promise<void>;
}

/** One line of the table. */
export interface Work {
  /** For `--only`. */
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** Of one operation, where the rate is one of bytes. */
  readonly operationBytes?: number;
  /** False where the round that does not count would only cost time. */
  readonly warmUp?: false;
  /** What comes long before, untimed; answers what is timed, a task a process. */
  readonly prepare: (stage: Stage) => Promise<Task[]>;
  /** What comes just before, untimed, when the clients are idle. */
  readonly lead?: (stage: Stage, tasks: readonly Task[]) => Promise<void>;
}
