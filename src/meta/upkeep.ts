import type { Ino } from "./types.ts";

/** What administrators have done with the records of a volume. Each change is one script and refuses where somebody was quicker. */
export interface Upkeep {
  /** Does now what is done hourly in the background: expired trash and slices, deletions that were interrupted. */
  cleanUp(signal?: AbortSignal): Promise<CleanedUp>;
  /** Deletes the first `chunks` chunks of an inode that is gone. */
  deleteLeftOver(ino: Ino, chunks: number): Promise<void>;
  /**
   * Deletes an inode that no directory refers to, with its data.
   *
   * @returns false where one does, or something else still needs it
   */
  deleteOrphan(ino: Ino): Promise<boolean>;

  /** The sums kept for the entries of a directory; undefined where there are none. */
  dirSums(ino: Ino): Promise<DirSums | undefined>;
  /** @returns false when the sums are not `seen` any more, or the directory is gone */
  repairDirSums(ino: Ino, seen: DirSums | undefined, right: DirSums): Promise<boolean>;
  /** @returns false when the number of links is not `seen` any more */
  repairNlink(ino: Ino, seen: number, right: number): Promise<boolean>;
  /** Makes the attributes of a directory that has lost them. @returns false when it has some */
  restoreDirectory(
    ino: Ino,
    attr: { readonly mode: number; readonly nlink: number; readonly parent: Ino },
  ): Promise<boolean>;

  /** What the volume is said to hold. */
  usage(): Promise<VolumeSums>;
  /** What all inodes together hold. Walks over the database. */
  countUsage(signal?: AbortSignal): Promise<VolumeSums>;
  /** @returns false when the counters are not `seen` any more */
  repairUsage(seen: VolumeSums, right: VolumeSums): Promise<boolean>;
}

/** How much was cleaned up: deleted files, slices without references, names in expired trash, trees that were cut off. */
export interface CleanedUp {
  readonly files: number;
  readonly slices: number;
  readonly removed: number;
  readonly detached: number;
}

/** Of the direct entries of a directory: bytes of its files, bytes all of them are counted with, and how many there are. */
export interface DirSums {
  readonly length: number;
  readonly space: number;
  readonly inodes: number;
}

export interface VolumeSums {
  readonly space: number;
  readonly inodes: number;
}
