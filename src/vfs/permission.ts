import { FsError } from "../base/fs-error.ts";
import type { Maybe } from "../base/maybe.ts";
import { aclAllows, decodeAclRule } from "../meta/acl.ts";
import type { Attr, AttrChange, Caller, Ino } from "../meta/types.ts";
import { attrOf } from "./attr-of.ts";
import { squashed, type VfsParts } from "./parts.ts";

/**
 * Who may do what, where the kernel does not check: it knows the callers as they are, so where they become somebody
 * else (`--root-squash`, `--all-squash`) it lets everything pass. The rules are those of spec and kernel.
 */

export const [MAY_READ, MAY_WRITE, MAY_SEARCH] = [4, 2, 1];

/** Whether these attributes let somebody do what `mask` says. Root may everything, for there is no x bit to respect here. */
export function mayAccess(
  parts: VfsParts,
  caller: Caller,
  attr: Attr,
  mask: number,
): Maybe<boolean> {
  if (caller.uid === 0) return true;
  if (attr.accessAcl !== 0 && (attr.mode & 0o070) !== 0) {
    return parts.acls
      .rule(attr.accessAcl)
      .then((record) =>
        record === undefined
          ? byMode(caller, attr, mask)
          : aclAllows(decodeAclRule(record), attr, caller, mask),
      );
  }
  return byMode(caller, attr, mask);
}

function byMode(caller: Caller, attr: Attr, mask: number): boolean {
  const shift = caller.uid === attr.uid ? 6 : isMember(caller, attr.gid) ? 3 : 0;
  return ((attr.mode >> shift) & mask) === mask;
}

function isMember(caller: Caller, gid: number): boolean {
  return (caller.groups ?? [caller.gid]).includes(gid);
}

/** @throws FsError EACCES where the mount checks by itself and the caller may not */
export function requireAccess(
  parts: VfsParts,
  caller: Caller,
  ino: Ino,
  mask: number,
): Maybe<void> {
  if (!parts.options.checks) return undefined;
  return checkAccess(parts, squashed(parts, caller), ino, mask);
}

async function checkAccess(parts: VfsParts, caller: Caller, ino: Ino, mask: number): Promise<void> {
  const attr = await attrOf(parts, ino);
  if (!(await mayAccess(parts, caller, attr, mask))) throw new FsError("EACCES", "access");
}

/** What a change of attributes asks for (JuiceFS pkg/meta/base.go `mergeAttr`, 1.4), the kernel's rules besides. */
export async function requireChange(
  parts: VfsParts,
  caller: Caller,
  ino: Ino,
  change: Change,
): Promise<void> {
  if (!parts.options.checks) return;
  const who = squashed(parts, caller);
  if (who.uid === 0) return;
  const attr = await attrOf(parts, ino);
  if (!isOwnersRight(who, attr, change)) throw new FsError("EPERM", "setattr");
  const touches = change.atime !== undefined && who.uid !== attr.uid;
  const writes = change.size !== undefined || touches;
  if (writes && !(await mayAccess(parts, who, attr, MAY_WRITE))) {
    throw new FsError("EACCES", "setattr");
  }
}

type Change = AttrChange & { readonly size?: number | undefined };

/** Whether somebody may change owner, mode or times; the times of now are for whoever may write. */
function isOwnersRight(who: Caller, attr: Attr, { mode, uid, gid, atime, mtime }: Change): boolean {
  const owner = who.uid === attr.uid;
  const timesChosen =
    (atime !== undefined || mtime !== undefined) && !(atime === "now" && mtime === "now");
  if (!owner) return mode === undefined && uid === undefined && gid === undefined && !timesChosen;
  const keepsOwner = uid === undefined || uid === attr.uid;
  return keepsOwner && (gid === undefined || gid === attr.gid || isMember(who, gid));
}

/** The mode that somebody outside the file's group may give it. */
export function grantedMode(parts: VfsParts, caller: Caller, attr: Attr, mode: number): number {
  if (!parts.options.checks) return mode;
  const who = squashed(parts, caller);
  return who.uid === 0 || isMember(who, attr.gid) ? mode : mode & ~0o2000;
}
