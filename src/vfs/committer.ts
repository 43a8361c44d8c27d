import type { CommitOutcome, SliceCommit } from "../meta/types.ts";
import type { DirtyJournal } from "./dirty-journal.ts";
import type { PendingSlice, StoredPlace } from "./pending-slice.ts";
import type { SliceGroup } from "./slice-uploads.ts";

/**
 * Commits what is stored, of any files, in batches: while one script is under way, what becomes ready joins the next. The
 * records of a file are committed in the order of its slices; slices that are stored together are committed together.
 */

export interface CommitterParts {
  readonly journal: DirtyJournal;
  readonly send: (commits: readonly SliceCommit[]) => Promise<CommitOutcome[]>;
  /** The oldest slice of the file that is pending still, by its sequence. */
  readonly oldest: (slice: PendingSlice) => number;
  /** Called for each slice, in the order of its file. */
  readonly settled: (slice: PendingSlice, outcome: CommitOutcome) => void;
  /** Nothing refers to what slices shared. */
  readonly unused: (place: StoredPlace) => void;
}

/** What is committed by one script, about: the server does nothing else meanwhile. */
const GROUPS_AT_ONCE = 64;

export class Committer {
  readonly #parts: CommitterParts;
  #ready: SliceGroup[] = [];
  #busy = false;

  constructor(parts: CommitterParts) {
    this.#parts = parts;
  }

  /** Takes slices that are stored, or could not be. */
  add(group: SliceGroup): void {
    this.#ready.push(group);
    if (!this.#busy) void this.#run();
  }

  async #run(): Promise<void> {
    this.#busy = true;
    // What becomes ready in the same turn of the event loop travels together.
    await Promise.resolve();
    for (;;) {
      const groups = this.#takeReady();
      if (groups.length === 0) break;
      const order = inFileOrder(groups.flatMap(({ slices }) => slices));
      await this.#commit(order, groups);
    }
    this.#busy = false;
  }

  /** Groups none of whose slices has to wait for one outside: the oldest few, or as many as depend on each other. */
  #takeReady(): SliceGroup[] {
    for (let count = GROUPS_AT_ONCE; ; count *= 2) {
      const taken = this.#withoutWaiting(this.#ready.slice(0, count));
      if (taken.size === 0 && count < this.#ready.length) continue;
      if (taken.size > 0) this.#ready = this.#ready.filter((group) => !taken.has(group));
      return [...taken];
    }
  }

  /** What is left of these groups when each that has to wait is put back, and what depends on it. */
  #withoutWaiting(groups: readonly SliceGroup[]): Set<SliceGroup> {
    const taken = new Set(groups);
    for (let before = -1; before !== taken.size;) {
      before = taken.size;
      const gaps = this.#gaps(taken);
      for (const group of taken) {
        const waits = group.slices.some(({ ino, sequence }) => sequence > (gaps.get(ino) ?? 0));
        if (waits) taken.delete(group);
      }
    }
    return taken;
  }

  /** Of each file the first pending slice that is in none of these groups, by its sequence. */
  #gaps(groups: ReadonlySet<SliceGroup>): Map<bigint, number> {
    const sequences = new Map<bigint, number[]>();
    const gaps = new Map<bigint, number>();
    for (const slice of [...groups].flatMap(({ slices }) => slices)) {
      const file = sequences.get(slice.ino);
      if (file === undefined) {
        sequences.set(slice.ino, [slice.sequence]);
        gaps.set(slice.ino, this.#parts.oldest(slice));
      } else {
        file.push(slice.sequence);
      }
    }
    for (const [ino, file] of sequences) {
      file.sort((a, b) => a - b);
      for (const sequence of file) if (sequence === gaps.get(ino)) gaps.set(ino, sequence + 1);
    }
    return gaps;
  }

  async #commit(order: readonly PendingSlice[], groups: readonly SliceGroup[]): Promise<void> {
    const failures = new Map<PendingSlice, Error>();
    for (const { slices, failure } of groups) {
      if (failure !== undefined) for (const slice of slices) failures.set(slice, failure);
    }
    const sent = order.filter((slice) => !failures.has(slice));
    const outcomes = new Map<PendingSlice, CommitOutcome>();
    for (const [slice, error] of failures) outcomes.set(slice, { error });
    if (sent.length > 0) {
      this.#parts.journal.commit(sent);
      const answers = await this.#send(sent);
      for (const [at, slice] of sent.entries()) {
        outcomes.set(slice, answers[at] ?? { error: new Error("The server told no outcome") });
      }
      for (const place of unusedOf(sent, answers)) this.#parts.unused(place);
    }
    for (const slice of order) this.#parts.settled(slice, outcomes.get(slice) as CommitOutcome);
  }

  async #send(slices: readonly PendingSlice[]): Promise<CommitOutcome[]> {
    try {
      return await this.#parts.send(slices.map((slice) => slice.commit()));
    } catch (error) {
      const failed = error instanceof Error ? error : new Error(String(error));
      return slices.map(() => ({ error: failed }));
    }
  }
}

/** Where slices are stored that no record came to refer to. An answer that never came may still be a commit. */
export function unusedOf(
  sent: readonly { readonly identity: StoredPlace | undefined }[],
  outcomes: readonly CommitOutcome[],
): StoredPlace[] {
  const used = new Set<bigint>();
  const refused = new Map<bigint, StoredPlace>();
  for (const [at, { identity }] of sent.entries()) {
    if (identity === undefined) continue;
    const outcome = outcomes[at];
    if (outcome !== undefined && "error" in outcome && isRefusal(outcome.error)) {
      refused.set(identity.id, identity);
    } else {
      used.add(identity.id);
    }
  }
  return [...refused.values()].filter(({ id }) => !used.has(id));
}

function isRefusal(error: Error): boolean {
  return "code" in error && error.code !== "EIO";
}

/** Slices of each file in their order; files as they come. */
function inFileOrder(slices: readonly PendingSlice[]): PendingSlice[] {
  const files = new Map<bigint, PendingSlice[]>();
  for (const slice of slices) {
    const file = files.get(slice.ino);
    if (file === undefined) files.set(slice.ino, [slice]);
    else file.push(slice);
  }
  return [...files.values()].flatMap((file) => file.toSorted((a, b) => a.sequence - b.sequence));
}
