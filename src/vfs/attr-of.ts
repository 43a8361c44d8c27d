import { FsError } from "../base/fs-error.ts";
import type { Maybe } from "../base/maybe.ts";
import type { Attr, Ino } from "../meta/types.ts";
import type { KnownAttr } from "./file-system.ts";
import { attrOut, real, sawAttr, type VfsParts } from "./parts.ts";

/** Attributes as they are known here, or as the server tells. */

export function getattr(parts: VfsParts, shownIno: Ino): Maybe<KnownAttr> {
  const ino = real(parts, shownIno);
  const attr = parts.known.attr(ino);
  if (attr !== undefined) return attrOut(parts, ino, attr, parts.known.attrs.give(ino));
  return ask(parts, ino);
}

async function ask(parts: VfsParts, ino: Ino): Promise<KnownAttr> {
  const mark = parts.known.mark();
  try {
    const attr = await parts.meta.getattr(ino);
    sawAttr(parts, ino, attr);
    return attrOut(parts, ino, attr, parts.known.keepAttr(ino, attr, mark));
  } catch (error) {
    const last = parts.gone.attr(ino);
    if (last === undefined || !(error instanceof FsError) || error.code !== "ENOENT") throw error;
    return attrOut(parts, ino, last, 0);
  }
}

/** The attributes as they are known, or asked for. */
export function attrOf(parts: VfsParts, ino: Ino): Maybe<Attr> {
  const attr = parts.known.attr(ino);
  if (attr !== undefined) return attr;
  return ask(parts, ino).then((known) => known.attr);
}
