import { duration, onOff, optionalCount, size } from "./specs.ts";
import type { OptionSpec, OptionTable } from "./table.ts";

/** Options of JuiceFS's `mount` that ask for what is always so here, or for what is not here: taken, so that scripts go on working. */

const group = "ACCEPTED";
const COHERENT = "accepted; what is kept is told when it changes, however long it is kept";
const NO_FILES = "accepted; there are no such files here";

function keepTime(): OptionSpec<number | undefined> {
  return duration<number | undefined>({ group, help: COHERENT, initial: undefined });
}

export const takenTable = {
  "attr-cache": keepTime(),
  "entry-cache": keepTime(),
  "dir-entry-cache": keepTime(),
  "negative-entry-cache": keepTime(),
  "open-cache-limit": optionalCount({ group, help: COHERENT }),
  "readdir-cache": onOff({ group, help: COHERENT }),
  "fast-statfs": onOff({ group, help: "accepted; it is always answered from memory" }),
  "max-fuse-io": size<number | undefined>({
    ...{ group, unit: 1, initial: undefined },
    help: "accepted; requests are as large as the kernel makes them",
  }),
  "skip-dir-nlink": optionalCount({ group, help: "accepted; Redis does not need it" }),
  "disable-transparent-hugepage": onOff({ group, help: "accepted; it means nothing here" }),
  "hide-internal": onOff({ group, help: NO_FILES }),
  "prefix-internal": onOff({ group, help: NO_FILES }),
} satisfies OptionTable;
