import type { Spool } from "../chunk/spool.ts";
import type { CommitOutcome, SliceCommit } from "../meta/types.ts";
import type { DirtyJournal, Journaled, JournaledSlice } from "./dirty-journal.ts";
import type { FileWriter } from "./file-writer.ts";
import { unusedOf } from "./committer.ts";
import type { PendingSlice, StoredPlace } from "./pending-slice.ts";
import type { SliceUploads } from "./slice-uploads.ts";

export interface RestoreParts {
  readonly spool: Spool;
  readonly journal: DirtyJournal;
  readonly uploads: SliceUploads;
  readonly commit: (commits: readonly SliceCommit[]) => Promise<CommitOutcome[]>;
  readonly settled: (slice: PendingSlice, outcome: CommitOutcome) => void;
  /** Nothing refers to what slices shared. */
  readonly unused: (place: StoredPlace) => void;
  readonly writer: (ino: bigint) => FileWriter;
  readonly nextNumber: () => number;
}

/**
 * Takes over the pending slices of a process before. A commit that was under way is sent once more, just as it was, before
 * anything else changes: its answer was kept if it was executed. What was being stored is stored again under the same
 * ids where nobody else may touch those, the rest as always. Until that is noted down anew the old journal stays: this can be
 * interrupted and repeated.
 */
export async function restoreSlices(journaled: Journaled, parts: RestoreParts): Promise<void> {
  const { spool, journal, uploads } = parts;
  spool.adopt(journaled.slices.flatMap(({ extents }) => extents));
  const restored = new Map<JournaledSlice, PendingSlice>();
  const spoilt = spoiltIds(journaled);
  for (const slice of journaled.slices) {
    const identity = spoilt.has(slice.identity?.id) ? undefined : slice.identity;
    restored.set(slice, restoreSlice({ ...slice, identity }, parts));
  }
  // What was to be deleted is not forgotten when this one ends too.
  for (const loose of journaled.loose) journal.loose(loose);
  await commitAgain(journaled.commit, restored, parts);
  for (const slice of journaled.commit) restored.delete(slice);
  journal.activate(journaled.appends);
  for (const group of groupsOf([...restored.values()])) {
    const [only] = group;
    if (group.length === 1 && only !== undefined) parts.writer(only.ino).store(only);
    else void uploads.again(group);
  }
}

/**
 * Ids that nothing may be stored under once more: their objects are to be deleted, or not all who were to share one were noted
 * down, and each alone would be stored under the same name. What was sent to be committed keeps its id.
 */
function spoiltIds({ slices, commit, loose }: Journaled): Set<bigint | undefined> {
  const spoilt = new Set<bigint | undefined>(loose.map(({ id }) => id));
  const found = new Map<bigint, number>();
  for (const { identity, length } of slices) {
    if (identity !== undefined) found.set(identity.id, (found.get(identity.id) ?? 0) + length);
  }
  for (const { identity } of slices) {
    // One that was growing still does not tell its size.
    if (identity === undefined || identity.size === 0) continue;
    if (found.get(identity.id) !== identity.size) spoilt.add(identity.id);
  }
  for (const { identity } of commit) spoilt.delete(identity?.id);
  return spoilt;
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
  for (const place of unusedOf(journaled, outcomes)) parts.unused(place);
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
