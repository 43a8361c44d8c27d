import type { Redis } from "ioredis";
import type { Format } from "../format.ts";
import type { MetaListener, Trust } from "../meta.ts";
import type { OpenFiles } from "../open-files.ts";
import type { Ino } from "../types.ts";
import type { Answers } from "./answers.ts";
import type { Counters } from "./counters.ts";
import type { LockWaits } from "./lock-waits.ts";

/** What every operation works with: one open volume. */
export interface MetaContext {
  readonly client: Redis;
  readonly answers: Answers;
  readonly counters: Counters;
  readonly openFiles: OpenFiles;
  readonly lockWaits: LockWaits;
  readonly listener: MetaListener;
  readonly sid: bigint;
  readonly trust: () => Trust;
  /** As last read. */
  readonly format: () => Format;
  /** A file's data lost its last name: delete it soon. */
  readonly deleteFile: (ino: Ino, length: number) => void;
}

/** The name of the trash folder of this hour (UTC), or nothing where removed is removed. */
export function trashHour(context: MetaContext): string {
  if (context.format().TrashDays === 0) return "";
  return new Date().toISOString().slice(0, 13).replace("T", "-");
}
