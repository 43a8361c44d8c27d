import { LRUCache } from "lru-cache";
import { FsError } from "../base/fs-error.ts";
import { decodeAclRule, encodeAclRule, formatAclXattr, parseAclXattr } from "../meta/acl.ts";
import type { AclKind, Meta } from "../meta/meta.ts";
import type { Caller, Ino } from "../meta/types.ts";
import { attrOf } from "./attr-of.ts";
import { squashed, type VfsParts } from "./parts.ts";

/** POSIX ACLs as extended attributes, which is how they are read and set. */

const KINDS: Readonly<Record<string, AclKind>> = {
  "system.posix_acl_access": "access",
  "system.posix_acl_default": "default",
};
const RULES_MAX = 10_000;

export function aclKindOf(name: string): AclKind | undefined {
  return KINDS[name];
}

/** Rules by their ids. A rule never changes, so one that was read is asked for no more. */
export class AclRules {
  readonly #meta: Pick<Meta, "aclRule">;
  readonly #rules = new LRUCache<number, Promise<Buffer | undefined>>({ max: RULES_MAX });

  constructor(meta: Pick<Meta, "aclRule">) {
    this.#meta = meta;
  }

  rule(id: number): Promise<Buffer | undefined> {
    const known = this.#rules.get(id);
    if (known !== undefined) return known;
    const asked = this.#meta.aclRule(id);
    this.#rules.set(id, asked);
    asked.then(
      (rule) => rule ?? this.#rules.delete(id),
      () => this.#rules.delete(id),
    );
    return asked;
  }
}

/** @throws FsError ENODATA where there is no ACL of that kind */
export async function getAcl(parts: VfsParts, ino: Ino, kind: AclKind): Promise<Buffer> {
  requireAcls(parts);
  const { accessAcl, defaultAcl } = await attrOf(parts, ino);
  const id = kind === "access" ? accessAcl : defaultAcl;
  const rule = id === 0 ? undefined : await parts.acls.rule(id);
  if (rule === undefined) throw new FsError("ENODATA", "getfacl");
  return formatAclXattr(decodeAclRule(rule));
}

/** @throws FsError EINVAL, EPERM, EACCES */
export async function setAcl(
  parts: VfsParts,
  caller: Caller,
  ino: Ino,
  { kind, value }: { kind: AclKind; value: Buffer | undefined },
): Promise<void> {
  requireAcls(parts);
  const rule = value === undefined ? undefined : parse(value);
  const mark = parts.known.mark();
  const record = rule === undefined ? undefined : encodeAclRule(rule);
  const attr = await parts.meta.setAcl(squashed(parts, caller), ino, kind, record);
  parts.known.attrs.learn(ino, attr, mark);
}

/** Names of the ACLs an inode has, as listxattr(2) tells them. */
export async function listAcls(parts: VfsParts, ino: Ino): Promise<Buffer[]> {
  if (!parts.meta.format.EnableACL) return [];
  const { accessAcl, defaultAcl } = await attrOf(parts, ino);
  const ids = { access: accessAcl, default: defaultAcl };
  return Object.keys(KINDS)
    .filter((name) => ids[KINDS[name] ?? "access"] !== 0)
    .map((name) => Buffer.from(name));
}

function requireAcls(parts: VfsParts): void {
  if (!parts.meta.format.EnableACL) throw new FsError("EOPNOTSUPP", "acl");
}

function parse(value: Buffer): ReturnType<typeof parseAclXattr> {
  try {
    return parseAclXattr(value);
  } catch (cause) {
    throw new FsError("EINVAL", "setfacl", { cause });
  }
}
