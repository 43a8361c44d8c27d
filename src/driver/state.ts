import { readFileSync } from "node:fs";
import { z } from "zod";
import { References } from "./references.ts";
import type { VolumeRecord } from "./volume.ts";

/** What the driver knows across its own restarts, as it lies in the state file. Secrets are sealed. */

const SavedVolume = z.object({
  createdAt: z.string(),
  options: z.record(z.string(), z.string()),
  /** Sealed; "" for none. */
  secrets: z.string(),
  metadata: z.string(),
  database: z.int().nonnegative().optional(),
  made: z
    .object({ name: z.string(), uuid: z.string(), storage: z.string(), bucket: z.string() })
    .optional(),
  generation: z.int().nonnegative(),
  references: z.array(z.object({ id: z.string(), count: z.int().positive(), stale: z.boolean() })),
});
export type SavedVolume = z.infer<typeof SavedVolume>;

/** A later version adds members and keeps the meaning of these; only a change of meaning raises `version`. */
export const SavedState = z.object({
  version: z.literal(1),
  /** Of the kernel's life in which it was written: what was in use in another one is not any more. */
  boot: z.string(),
  /**
   * Databases of the driver's own Redis by volume name; kept when a volume is removed, since its data is: a volume of that
   * name finds it again.
   */
  databases: z.record(z.string(), z.int().nonnegative()),
  volumes: z.record(z.string(), SavedVolume),
});
export type SavedState = z.infer<typeof SavedState>;

export function emptyState(): SavedState {
  return { version: 1, boot: bootId(), databases: {}, volumes: {} };
}

/** Changes with every start of the kernel. */
export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

export function saveRecord(record: VolumeRecord): SavedVolume {
  return {
    ...{ createdAt: record.createdAt, options: record.given, secrets: record.sealed },
    metadata: record.metadata,
    ...(record.database === undefined ? {} : { database: record.database }),
    ...(record.made === undefined ? {} : { made: record.made }),
    ...{ generation: record.generation, references: record.references.save() },
  };
}

export function loadRecord(saved: SavedVolume, { sameBoot }: { sameBoot: boolean }): VolumeRecord {
  return {
    ...{ createdAt: saved.createdAt, given: saved.options, sealed: saved.secrets },
    metadata: saved.metadata,
    ...{ database: saved.database, made: saved.made, generation: saved.generation },
    references: new References(sameBoot ? saved.references : []),
  };
}
