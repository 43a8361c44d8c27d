import type { Spool } from "../chunk/spool.ts";
import type { CommitOutcome, SliceCommit } from "../meta/types.ts";
import type { DirtyJournal, Journaled, JournaledSlice } from "./dirty-journal.ts";
import type { FileWriter } from "./file-writer.ts";
import type { PendingSlice } from "./pending-slice.ts";
import type { SliceUploads } from "./slice-uploads.ts";

export interface RestoreParts {
  readonly spool: Spool;
  readonly journal: DirtyJournal;
  readonly uploads: SliceUploads;
  readonly commit: (commits: readonly SliceCommit[]) => Promise<CommitOutcome[]>;
  readonly settled: (slice: PendingSlice, outcome: CommitOutcome) => void;
  readonly writer: (ino: bigint) => FileWriter;
  readonly nextNumber: () => number;
}

/**
 * Takes over the pending slices of a process before. A commit that was under way is sent once more, just as it was, before
 * anything else changes: its answer was kept if it was executed. What was being stored is stored again under the same
 * ids, the rest as always. Until that is noted down anew the old journal stays: this can be interrupted and repeated.
 */
export async function restoreSlices(journaled: Journaled, parts: RestoreParts): Promise<void> {
  const { spool, journal, uploads } = parts;
  spool.adopt(journaled.slices.flatMap(({ extents }) => extents));
  const restored = new Map<JournaledSlice, PendingSlice>();
  for (const slice of journaled.slices) restored.set(slice, restoreSlice(slice, parts));
  await commitAgain(journaled.commit, restored, parts);
  for (const slice of journaled.commit) restored.delete(slice);
  journal.activate(journaled.appends);
  for (const group of groupsOf([...restored.values()])) {
    if (isShared(group)) void uploads.again(group);
    else for (const slice of group) parts.writer(slice.ino).store(slice);
  }
}

function restoreSlice(journaled: JournaledSlice, parts: RestoreParts): PendingSlice {
  const { ino, chunkIndex, pos, append, identity, length } = journaled;
  const slice = parts.writer(ino).adopt({ ino, chunkIndex, pos, append }, parts.nextNumber());
  slice.buffer.adopt(journaled.extents);
  slice.length = length;
  slice.mtime = journaled.mtime;
  slice.identity = identity;
  parts.journal.begin(slice);
  parts.journal.grew(slice, journaled.extents.length);
  if (identity !== undefined) parts.journal.identity(slice, identity);
  return slice;
}

async function commitAgain(
  journaled: readonly JournaledSlice[],
  restored: ReadonlyMap<JournaledSlice, PendingSlice>,
  parts: RestoreParts,
): Promise<void> {
  if (journaled.length === 0) return;
  const outcomes = await parts.commit(journaled.map(commitOf));
  for (const [at, one] of journaled.entries()) {
    // Some may have been settled before the process ended.
    const slice = restored.get(one);
    const outcome = outcomes[at];
    if (slice !== undefined && outcome !== undefined) parts.settled(slice, outcome);
  }
}

function commitOf(journaled: JournaledSlice): SliceCommit {
  const { ino, chunkIndex, pos, append, mtime, length, identity } = journaled;
  if (identity === undefined) throw new Error("A slice was being committed that was not stored");
  return { ino, chunkIndex, mtime, append, slice: { pos, ...identity, len: length } };
}

/** Slices by what they are stored in; those that are not stored yet each for itself. */
function groupsOf(slices: readonly PendingSlice[]): PendingSlice[][] {
  const shared = new Map<bigint, PendingSlice[]>();
  const groups: PendingSlice[][] = [];
  for (const slice of slices) {
    const id = slice.identity?.id;
    const known = id === undefined ? undefined : shared.get(id);
    if (known !== undefined) {
      known.push(slice);
      continue;
    }
    const group = [slice];
    groups.push(group);
    if (id !== undefined) shared.set(id, group);
  }
  return groups;
}

/** True for slices that were being stored together, all of them; the object must come out the same. */
function isShared(group: readonly PendingSlice[]): boolean {
  const size = group[0]?.identity?.size ?? 0;
  if (group.length === 1) return false;
  return group.reduce((sum, { length }) => sum + length, 0) === size;
}
