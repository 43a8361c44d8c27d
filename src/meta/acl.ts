import type { Caller } from "./types.ts";

/**
 * POSIX ACLs: the rule that the format stores under an id (JuiceFS pkg/acl, 1.4), and the value of the xattrs
 * `system.posix_acl_access` and `system.posix_acl_default` that the kernel knows.
 */

export interface AclRule {
  /** Permission bits; undefined where the rule leaves them to the mode. */
  readonly owner: number | undefined;
  readonly group: number | undefined;
  readonly mask: number | undefined;
  readonly other: number | undefined;
  readonly users: readonly AclEntry[];
  readonly groups: readonly AclEntry[];
}

/** What one named user or group may. */
export interface AclEntry {
  readonly id: number;
  readonly bits: number;
}

const ABSENT = 0xffff;

export function decodeAclRule(record: Buffer): AclRule {
  const part = (at: number): number | undefined => {
    const bits = record.readUInt16BE(at);
    return bits === ABSENT ? undefined : bits;
  };
  const users = entriesAt(record, 8);
  const groups = entriesAt(record, 12 + users.length * 6);
  return { owner: part(0), group: part(2), mask: part(4), other: part(6), users, groups };
}

function entriesAt(record: Buffer, at: number): AclEntry[] {
  const count = record.readUInt32BE(at);
  return Array.from({ length: count }, (_, index) => ({
    id: record.readUInt32BE(at + 4 + index * 6),
    bits: record.readUInt16BE(at + 8 + index * 6),
  }));
}

export function encodeAclRule({ owner, group, mask, other, users, groups }: AclRule): Buffer {
  const record = Buffer.alloc(16 + (users.length + groups.length) * 6);
  let at = 0;
  for (const bits of [owner, group, mask, other]) at = record.writeUInt16BE(bits ?? ABSENT, at);
  for (const entries of [users, groups]) {
    at = record.writeUInt32BE(entries.length, at);
    for (const { id, bits } of entries) {
      at = record.writeUInt32BE(id, at);
      at = record.writeUInt16BE(bits, at);
    }
  }
  return record;
}

const VERSION = 2;
const HEADER_BYTES = 4;
const ENTRY_BYTES = 8;
const NO_ID = 0xffff_ffff;
const Tag = { USER_OBJ: 0x01, USER: 0x02, GROUP_OBJ: 0x04, GROUP: 0x08, MASK: 0x10, OTHER: 0x20 };

/**
 * A rule from the kernel's value; nothing where the value has no entries, which removes the ACL.
 *
 * @throws RangeError where the value is no ACL
 */
export function parseAclXattr(value: Buffer): AclRule | undefined {
  if (value.length % ENTRY_BYTES !== HEADER_BYTES || value.readUInt32LE(0) !== VERSION) {
    throw new RangeError(`an ACL of ${value.length} bytes`);
  }
  if (value.length === HEADER_BYTES) return undefined;
  const single = new Map<number, number>();
  const users: AclEntry[] = [];
  const groups: AclEntry[] = [];
  for (let at = HEADER_BYTES; at < value.length; at += ENTRY_BYTES) {
    const tag = value.readUInt16LE(at);
    const entry = { id: value.readUInt32LE(at + 4), bits: value.readUInt16LE(at + 2) & 7 };
    if (tag === Tag.USER) users.push(entry);
    else if (tag === Tag.GROUP) groups.push(entry);
    else if (single.has(tag)) throw new RangeError(`an ACL with two entries of tag ${tag}`);
    else single.set(tag, entry.bits);
  }
  const mask = single.get(Tag.MASK);
  if (mask === undefined && users.length + groups.length > 0) {
    throw new RangeError("an ACL with names and without a mask");
  }
  const [owner, group] = [single.get(Tag.USER_OBJ), single.get(Tag.GROUP_OBJ)];
  return { owner, group, mask, other: single.get(Tag.OTHER), users, groups };
}

export function formatAclXattr(rule: AclRule): Buffer {
  const entries: [tag: number, bits: number, id: number][] = [
    [Tag.USER_OBJ, rule.owner ?? 0, NO_ID],
    ...rule.users.map(({ id, bits }): [number, number, number] => [Tag.USER, bits, id]),
    [Tag.GROUP_OBJ, rule.group ?? 0, NO_ID],
    ...rule.groups.map(({ id, bits }): [number, number, number] => [Tag.GROUP, bits, id]),
  ];
  if (rule.mask !== undefined) entries.push([Tag.MASK, rule.mask, NO_ID]);
  entries.push([Tag.OTHER, rule.other ?? 0, NO_ID]);
  const value = Buffer.alloc(HEADER_BYTES + entries.length * ENTRY_BYTES);
  let at = value.writeUInt32LE(VERSION, 0);
  for (const [tag, bits, id] of entries) {
    at = value.writeUInt16LE(tag, at);
    at = value.writeUInt16LE(bits, at);
    at = value.writeUInt32LE(id, at);
  }
  return value;
}

/** Whether a rule lets somebody do what `mask` says (4 read, 2 write, 1 execute); as POSIX 1003.1e, 23.1.5, checks access. */
export function aclAllows(
  rule: AclRule,
  { uid, gid }: { uid: number; gid: number },
  caller: Caller,
  mask: number,
): boolean {
  const allows = (bits = 0): boolean => (bits & mask) === mask;
  const limited = (bits = 0): boolean => allows(bits & (rule.mask ?? 7));
  if (caller.uid === uid) return allows(rule.owner);
  const user = rule.users.find(({ id }) => id === caller.uid);
  if (user !== undefined) return limited(user.bits);
  const own = new Set(caller.groups ?? [caller.gid]);
  const groups = [
    ...(own.has(gid) ? [rule.group] : []),
    ...rule.groups.filter(({ id }) => own.has(id)).map(({ bits }) => bits),
  ];
  return groups.length > 0 ? groups.some(limited) : allows(rule.other);
}
