import { FsError } from "../base/fs-error.ts";
import type { Maybe } from "../base/maybe.ts";
import type { Ino } from "../meta/types.ts";
import { real, type VfsParts } from "./parts.ts";

/**
 * An operation on an inode that the kernel came to by a name. Where another host removed it meanwhile, this error has the
 * kernel walk the path anew: who opens a name that is replaced all the time finds one file or the other, never none.
 */
export function reached<T>(parts: VfsParts, shownIno: Ino, work: () => Maybe<T>): Maybe<T> {
  const ino = real(parts, shownIno);
  try {
    const done = work();
    return done instanceof Promise ? done.catch((error: unknown) => lost(parts, ino, error)) : done;
  } catch (error) {
    return lost(parts, ino, error);
  }
}

function lost(parts: VfsParts, ino: Ino, error: unknown): never {
  if (!(error instanceof FsError) || error.code !== "ENOENT") throw error;
  // Who came here otherwise, such as from within a removed directory, is told the last of it when he asks again.
  const last = parts.known.attrs.last(ino);
  if (last !== undefined) parts.gone.removed(ino, last);
  parts.known.lost(ino);
  parts.gone.walkAnew();
  throw new FsError("ESTALE", `inode ${ino}`, { cause: error });
}
