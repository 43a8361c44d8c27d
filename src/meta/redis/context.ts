import type { Redis } from "ioredis";
import type { Maybe } from "../../base/maybe.ts";
import type { Format } from "../format.ts";
import type { MetaListener, Trust } from "../meta.ts";
import type { OpenFiles } from "../open-files.ts";
import type { Answers } from "./answers.ts";
import type { Counters } from "./counters.ts";
import type { Deletions } from "./deletions.ts";
import type { Nameless } from "./nameless.ts";
import type { LockWaits } from "./lock-waits.ts";
import type { UsageCounters } from "./statfs.ts";

/** What every operation works with: one open volume. */
export interface MetaContext {
  readonly client: Redis;
  readonly answers: Answers;
  readonly counters: Counters;
  readonly openFiles: OpenFiles;
  readonly lockWaits: LockWaits;
  readonly deletions: Deletions;
  readonly nameless: Nameless;
  readonly listener: MetaListener;
  readonly sid: bigint;
  readonly trust: () => Trust;
  /** Settles when every notice up to this one was heard. */
  readonly heard: (noticeId: string) => Maybe<void>;
  /** Grows with every change of the volume, here or elsewhere as soon as it is heard of. */
  readonly changes: () => number;
  /** As last read. */
  readonly format: () => Format;
  /** The volume's counters as last seen. */
  readonly usage: UsageCounters;
}

/** The name of the trash folder of this hour (UTC), or nothing where removed is removed. */
export function trashHour(context: MetaContext): string {
  if (context.format().TrashDays === 0) return "";
  return new Date().toISOString().slice(0, 13).replace("T", "-");
}
