import { formatTable } from "./format.ts";
import { bandwidth, optionalOnOff, text } from "./specs.ts";
import type { OptionSpec, OptionTable, OptionValues } from "./table.ts";

/** What `config` takes: what of a volume can be changed later (cmd/config.go, 1.4). */

/** An option of `format`; what is not given stays as it is. */
function changed<T>(spec: OptionSpec<T>): OptionSpec<T> {
  return { ...spec, shown: undefined };
}

export const configTable = {
  storage: changed(formatTable.storage),
  bucket: changed(formatTable.bucket),
  "access-key": formatTable["access-key"],
  "secret-key": formatTable["secret-key"],
  "session-token": formatTable["session-token"],
  "storage-class": formatTable["storage-class"],
  tag: formatTable.tag,
  "upload-limit": bandwidth({
    ...{ group: "STORAGE", help: "most that each client uploads; 0 without limit" },
  }),
  "download-limit": bandwidth({
    ...{ group: "STORAGE", help: "most that each client downloads; 0 without limit" },
  }),

  capacity: changed(formatTable.capacity),
  inodes: changed(formatTable.inodes),
  "trash-days": changed(formatTable["trash-days"]),
  "enable-acl": formatTable["enable-acl"],
  "dir-stats": optionalOnOff({ group: "FORMAT", help: "keep sums of each directory" }),
  "min-client-version": text({
    ...{ group: "FORMAT", value: "version", help: "oldest client that may use the volume" },
  }),
  "max-client-version": text({
    ...{ group: "FORMAT", value: "version", help: "newest client that may use the volume" },
  }),
} satisfies OptionTable;

export type ConfigValues = Partial<OptionValues<typeof configTable>>;
