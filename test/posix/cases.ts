import { data } from "./data.ts";
import { holes } from "./holes.ts";
import { links } from "./links.ts";
import { mappings } from "./mappings.ts";
import { names } from "./names.ts";
import { paths } from "./paths.ts";
import { permissions } from "./permissions.ts";
import { renames } from "./renames.ts";
import { directories } from "./directories.ts";
import { flags } from "./flags.ts";
import { locks } from "./locks.ts";
import { nameless } from "./nameless.ts";
import { specials } from "./specials.ts";
import { xattrs } from "./xattrs.ts";
import type { Rules } from "./rules.ts";
import { times } from "./times.ts";

/** All rules, by theme. */
export const CASES: Readonly<Record<string, Rules>> = {
  paths,
  names,
  links,
  renames,
  permissions,
  times,
  data,
  holes,
  mappings,
  xattrs,
  specials,
  nameless,
  locks,
  flags,
  directories,
};
