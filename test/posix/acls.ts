import assert from "node:assert/strict";
import { chmod, chown, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Rules } from "./rules.ts";
import { O_CREAT, O_WRONLY } from "./support/calls.ts";
import { ALICE, BOB, CAROL, startProcess } from "./support/process.ts";

/** POSIX ACLs, on a file system that has them. */

const ACCESS = "system.posix_acl_access";
const DEFAULT = "system.posix_acl_default";
const Tag = { owner: 1, user: 2, ownGroup: 4, group: 8, mask: 16, other: 32 };
type Entry = readonly [tag: keyof typeof Tag, bits: number, id?: number];

function aclOf(...entries: readonly Entry[]): Buffer {
  const value = Buffer.alloc(4 + 8 * entries.length);
  value.writeUInt32LE(2);
  for (const [index, [tag, bits, id]] of entries.entries()) {
    value.writeUInt16LE(Tag[tag], 4 + 8 * index);
    value.writeUInt16LE(bits, 6 + 8 * index);
    value.writeUInt32LE(id ?? 0xffff_ffff, 8 + 8 * index);
  }
  return value;
}

/** The owner, one user more, everybody else. */
function allowing(user: number, bits: number, mask = 7): Buffer {
  const named: Entry[] = [
    ["owner", 7],
    ["user", bits, user],
  ];
  return aclOf(...named, ["ownGroup", 5], ["mask", mask], ["other", 0]);
}

/** A directory of Alice's in a group that she is not in, with sgid. */
async function foreignGroup(folder: string): Promise<string> {
  const dir = join(folder, "dir");
  await mkdir(dir);
  await chown(dir, ALICE.uid, BOB.gid);
  await chmod(dir, 0o2775);
  return dir;
}

export const acls: Rules = {
  async "what a directory hands on leaves its own sgid to it, whoever sets it"(folder) {
    const dir = await foreignGroup(folder);
    await using alice = await startProcess(ALICE);
    await alice.setxattr(dir, DEFAULT, allowing(CAROL.uid, 5));
    assert.equal((await alice.stat(dir)).mode & 0o7777, 0o2775);
    await alice.removexattr(dir, DEFAULT);
    assert.equal((await alice.stat(dir)).mode & 0o7777, 0o2775);
  },

  async "an owner outside the group loses sgid with a rule that sets the mode, not with its removal"(
    folder,
  ) {
    const dir = await foreignGroup(folder);
    await using alice = await startProcess(ALICE);
    await alice.setxattr(dir, ACCESS, allowing(CAROL.uid, 5));
    assert.equal((await alice.stat(dir)).mode & 0o7777, 0o770);
    await chmod(dir, 0o2775);
    await alice.removexattr(dir, ACCESS);
    assert.equal((await alice.stat(dir)).mode & 0o7777, 0o2775);
  },

  async "a rule of a file is checked, its mask limits it, and chmod changes the mask"(folder) {
    const path = join(folder, "file");
    await writeFile(path, "content");
    await using root = await startProcess();
    await root.setxattr(path, ACCESS, allowing(BOB.uid, 6));
    assert.equal((await root.stat(path)).mode & 0o777, 0o770);
    await using bob = await startProcess(BOB);
    await bob.close(await bob.open(path, O_WRONLY));
    await root.chmod(path, 0o740);
    await assert.rejects(bob.open(path, O_WRONLY), { code: "EACCES" });
    assert.deepEqual(await root.getxattr(path, ACCESS), allowing(BOB.uid, 6, 4));
  },

  async "what is made below a default rule inherits it in place of the umask"(folder) {
    await using root = await startProcess();
    await root.setxattr(folder, DEFAULT, allowing(BOB.uid, 6));
    await root.close(await root.open(join(folder, "file"), O_CREAT | O_WRONLY, 0o666));
    await root.mkdir(join(folder, "dir"));
    assert.equal((await root.stat(join(folder, "file"))).mode & 0o777, 0o660);
    const handedOn = await root.getxattr(join(folder, "dir"), DEFAULT);
    assert.deepEqual(handedOn, allowing(BOB.uid, 6));
  },
};
