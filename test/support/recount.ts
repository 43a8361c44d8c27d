import type { Redis } from "ioredis";

/**
 * Counts a volume's records anew, past the code under test, and compares what is counted along: counters, statistics of
 * directories, links, parents, references of slices. For volumes without a trash on which nothing is open.
 */

interface Inode {
  readonly type: number;
  readonly nlink: number;
  readonly length: number;
  readonly parent: string;
}

interface Sum {
  length: number;
  space: number;
  inodes: number;
  folders: number;
}

const [FILE, FOLDER] = [1, 2];
const ROOT = "1";
const TRASH = "9223372032828243968";
const RECORD_BYTES = 24;

type Differs = (what: string, said: unknown, counted: unknown) => void;
/** Inode, then folder: how many names lead there. */
type Names = Map<string, Map<string, number>>;

/** What is wrong, a sentence each. */
export async function recount(redis: Redis): Promise<string[]> {
  const inodes = await readInodes(redis);
  const wrong: string[] = [];
  const differs: Differs = (what, said, counted) => {
    if (said !== counted) wrong.push(`${what}: ${String(said)}, counted ${String(counted)}`);
  };
  const names = await compareFolders(redis, inodes, differs);
  for (const [ino, inode] of inodes) {
    if (ino === ROOT || ino === TRASH) continue;
    await compareLinks(redis, { ino, inode, names: names.get(ino) ?? new Map() }, differs);
  }
  const counted = [...inodes].filter(([ino]) => ino !== ROOT && ino !== TRASH);
  const space = counted.reduce((sum, [, inode]) => sum + spaceOf(inode), 0);
  differs("usedSpace", Number((await redis.get("usedSpace")) ?? 0), space);
  differs("totalInodes", Number((await redis.get("totalInodes")) ?? 0), counted.length);
  await compareReferences(redis, inodes, differs);
  return wrong;
}

async function compareFolders(
  redis: Redis,
  inodes: ReadonlyMap<string, Inode>,
  differs: Differs,
): Promise<Names> {
  const names: Names = new Map();
  for (const [ino, { type, nlink }] of inodes) {
    if (type !== FOLDER || ino === TRASH) continue;
    const sum = await sumOf(redis, ino, inodes, names);
    differs(`links of folder ${ino}`, nlink, 2 + sum.folders);
    const rows = ["dirDataLength", "dirUsedSpace", "dirUsedInodes"];
    const said = await Promise.all(rows.map((key) => redis.hget(key, ino)));
    if (said[2] === null) continue;
    differs(`statistics of ${ino}`, said.join(" "), `${sum.length} ${sum.space} ${sum.inodes}`);
  }
  return names;
}

async function compareLinks(
  redis: Redis,
  { ino, inode, names }: { ino: string; inode: Inode; names: ReadonlyMap<string, number> },
  differs: Differs,
): Promise<void> {
  const links = [...names.values()].reduce((sum, count) => sum + count, 0);
  if (inode.type !== FOLDER) differs(`links of ${ino}`, inode.nlink, links);
  if (inode.parent !== "0") {
    differs(`parent of ${ino}`, inode.parent, [...names.keys()].join());
    return;
  }
  const kept = Object.entries(await redis.hgetall(`p${ino}`)).filter(([, count]) => count !== "0");
  const listed = (pairs: (readonly unknown[])[]): string =>
    pairs
      .map((pair) => pair.join(":"))
      .toSorted()
      .join();
  differs(`parents of ${ino}`, listed(kept), listed([...names]));
}

async function readInodes(redis: Redis): Promise<Map<string, Inode>> {
  const inodes = new Map<string, Inode>();
  for (const key of await redis.keys("i[0-9]*")) {
    const record = (await redis.getBuffer(key)) ?? Buffer.alloc(72);
    inodes.set(key.slice(1), {
      type: record.readUInt16BE(1) >> 12,
      nlink: record.readUInt32BE(47),
      length: Number(record.readBigUInt64BE(51)),
      parent: record.readBigUInt64BE(63).toString(),
    });
  }
  return inodes;
}

async function sumOf(
  redis: Redis,
  folder: string,
  inodes: ReadonlyMap<string, Inode>,
  names: Names,
): Promise<Sum> {
  const sum: Sum = { length: 0, space: 0, inodes: 0, folders: 0 };
  for (const entry of await redis.hvalsBuffer(`d${folder}`)) {
    const ino = entry.readBigUInt64BE(1).toString();
    const inode = inodes.get(ino);
    const parents = names.get(ino) ?? new Map<string, number>();
    names.set(ino, parents.set(folder, (parents.get(folder) ?? 0) + 1));
    sum.inodes++;
    if (inode === undefined) continue;
    if (inode.type === FOLDER) sum.folders++;
    sum.length += inode.type === FILE ? inode.length : 0;
    sum.space += spaceOf(inode);
  }
  return sum;
}

function spaceOf({ type, length }: Inode): number {
  return type === FILE ? Math.max(1, Math.ceil(length / 4096)) * 4096 : 4096;
}

/** References of slices: records of chunks, each counted, minus one. */
async function compareReferences(
  redis: Redis,
  inodes: ReadonlyMap<string, Inode>,
  differs: Differs,
): Promise<void> {
  const references = new Map<string, number>();
  for (const key of await redis.keys("c[0-9]*_*")) {
    const ino = key.slice(1, key.indexOf("_"));
    if (!inodes.has(ino)) differs(`inode of chunk ${key}`, "missing", "there");
    for (const record of await redis.lrangeBuffer(key, 0, -1)) {
      differs(`length of a record of ${key}`, record.length, RECORD_BYTES);
      const slice = `k${record.readBigUInt64BE(4)}_${record.readUInt32BE(12)}`;
      if (!slice.startsWith("k0_")) references.set(slice, (references.get(slice) ?? 0) + 1);
    }
  }
  const said = await redis.hgetall("sliceRef");
  for (const slice of new Set([...references.keys(), ...Object.keys(said)])) {
    differs(`references of ${slice}`, Number(said[slice] ?? 0), (references.get(slice) ?? 0) - 1);
  }
}
