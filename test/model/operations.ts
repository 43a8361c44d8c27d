import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  KEEP_SIZE,
  O_APPEND,
  O_CREAT,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  PUNCH_HOLE,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  S_IFDIR,
  S_IFMT,
  ZERO_RANGE,
} from "../posix/support/calls.ts";
import type { TestProcess } from "../posix/support/process.ts";
import type { Random } from "../support/random.ts";

/** A process and the folder that it works in, with files that it keeps open. */
export interface Worker {
  readonly me: TestProcess;
  readonly root: string;
  readonly open: (number | undefined)[];
}

/** What a process does: the same on the file system under test and on the one that it is compared with. */
export interface Operation {
  readonly text: string;
  /** Answers what can be compared. */
  readonly run: (worker: Worker) => Promise<unknown>;
}

const NAMES = ["a", "b", "c", "d"];
const SLOTS = 3;
const LENGTH_MAX = 300_000;
const WRITE_MAX = 40_000;
const CREATE_FLAGS = [O_CREAT, O_CREAT | O_TRUNC, O_CREAT | O_EXCL, 0, O_TRUNC];
const RENAME_FLAGS = [0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE];
const FALLOCATE_MODES = [0, KEEP_SIZE, KEEP_SIZE | PUNCH_HOLE, ZERO_RANGE, ZERO_RANGE | KEEP_SIZE];

type Make = (random: Random) => Operation;

/** One to three names deep. */
function path(random: Random): string {
  const depth = 1 + random.below(3);
  return Array.from({ length: depth }, () => NAMES[random.below(NAMES.length)]).join("/");
}

function operation(text: string, run: Operation["run"]): Operation {
  return { text, run };
}

/** Opens, works, closes: what was written is stored then. */
async function withFile<T>(
  { me, root }: Worker,
  name: string,
  flags: number,
  work: (fd: number) => Promise<T>,
): Promise<T> {
  const fd = await me.open(join(root, name), flags, 0o644);
  try {
    return await work(fd);
  } finally {
    await me.close(fd);
  }
}

async function contents(me: TestProcess, fd: number): Promise<string> {
  const { size } = await me.fstat(fd);
  const hash = createHash("sha1");
  for (let at = 0; at < size; at += 1 << 20) hash.update(await me.pread(fd, 1 << 20, at));
  return `${size} ${hash.digest("hex")}`;
}

/** What of a status does not depend on where and when it was made. */
async function status({ me, root }: Worker, name: string): Promise<unknown> {
  const { mode, nlink, size, uid } = await me.lstat(join(root, name));
  return { mode, nlink, uid, size: (mode & S_IFMT) === S_IFDIR ? 0 : size };
}

const MAKERS: readonly (readonly [often: number, make: Make])[] = [
  [
    8,
    (random) => {
      const [name, offset] = [path(random), random.below(LENGTH_MAX)];
      const data = random.bytes(random.size(WRITE_MAX));
      const flags = O_WRONLY | (CREATE_FLAGS[random.below(CREATE_FLAGS.length)] ?? 0);
      return operation(`write ${name} ${offset} ${data.length} flags ${flags}`, (worker) =>
        withFile(worker, name, flags, (fd) => worker.me.pwrite(fd, data, offset)),
      );
    },
  ],
  [
    4,
    (random) => {
      const [name, data] = [path(random), random.bytes(random.size(WRITE_MAX))];
      return operation(`append ${name} ${data.length}`, (worker) =>
        withFile(worker, name, O_WRONLY | O_APPEND, (fd) => worker.me.write(fd, data)),
      );
    },
  ],
  [
    8,
    (random) => {
      const name = path(random);
      return operation(`read ${name}`, (worker) =>
        withFile(worker, name, O_RDONLY, (fd) => contents(worker.me, fd)),
      );
    },
  ],
  [
    3,
    (random) => {
      const [name, length] = [path(random), random.below(LENGTH_MAX)];
      return operation(`truncate ${name} ${length}`, ({ me, root }) =>
        me.truncate(join(root, name), length),
      );
    },
  ],
  [
    2,
    (random) => {
      const mode = FALLOCATE_MODES[random.below(FALLOCATE_MODES.length)] ?? 0;
      const [name, offset] = [path(random), random.below(LENGTH_MAX)];
      const length = random.size(LENGTH_MAX);
      return operation(`fallocate ${name} mode ${mode} ${offset} ${length}`, (worker) =>
        withFile(worker, name, O_RDWR, (fd) => worker.me.fallocate(fd, mode, offset, length)),
      );
    },
  ],
  [
    3,
    (random) => {
      const [from, to] = [path(random), path(random)];
      const [offset, at, count] = [
        random.below(LENGTH_MAX),
        random.below(LENGTH_MAX),
        random.size(WRITE_MAX),
      ];
      return operation(`copy ${from} ${offset} to ${to} ${at}, ${count}`, (worker) =>
        withFile(worker, from, O_RDONLY, (source) =>
          withFile(worker, to, O_WRONLY, (target) =>
            worker.me.copy_file_range(source, target, count, offset, at),
          ),
        ),
      );
    },
  ],
  [
    6,
    (random) => {
      const name = path(random);
      return operation(`mkdir ${name}`, ({ me, root }) => me.mkdir(join(root, name)));
    },
  ],
  [
    4,
    (random) => {
      const name = path(random);
      return operation(`unlink ${name}`, ({ me, root }) => me.unlink(join(root, name)));
    },
  ],
  [
    3,
    (random) => {
      const name = path(random);
      return operation(`rmdir ${name}`, ({ me, root }) => me.rmdir(join(root, name)));
    },
  ],
  [
    8,
    (random) => {
      const [from, to] = [path(random), path(random)];
      const flags = RENAME_FLAGS[random.below(RENAME_FLAGS.length)] ?? 0;
      return operation(`rename ${from} ${to} flags ${flags}`, ({ me, root }) =>
        me.renameat2(join(root, from), join(root, to), flags),
      );
    },
  ],
  [
    3,
    (random) => {
      const [from, to] = [path(random), path(random)];
      return operation(`link ${from} ${to}`, ({ me, root }) =>
        me.link(join(root, from), join(root, to)),
      );
    },
  ],
  [
    1,
    (random) => {
      const [name, target] = [path(random), path(random)];
      return operation(`symlink ${name} to ${target}`, ({ me, root }) =>
        me.symlink(target, join(root, name)),
      );
    },
  ],
  [
    6,
    (random) => {
      const name = path(random);
      return operation(`lstat ${name}`, (worker) => status(worker, name));
    },
  ],
  [
    3,
    (random) => {
      const name = path(random);
      return operation(`list ${name}`, async ({ me, root }) =>
        (await me.listdir(join(root, name))).map(String).toSorted(),
      );
    },
  ],
  [
    2,
    (random) => {
      const [name, mode] = [path(random), 0o600 + random.below(0o200)];
      return operation(`chmod ${name} ${mode.toString(8)}`, ({ me, root }) =>
        me.chmod(join(root, name), mode),
      );
    },
  ],
  [
    2,
    (random) => {
      const [name, key] = [path(random), `user.${NAMES[random.below(NAMES.length)]}`];
      const value = random.bytes(random.size(100));
      return operation(`setxattr ${name} ${key}`, ({ me, root }) =>
        me.setxattr(join(root, name), key, value),
      );
    },
  ],
  [
    2,
    (random) => {
      const [name, key] = [path(random), `user.${NAMES[random.below(NAMES.length)]}`];
      return operation(`getxattr ${name} ${key}`, async ({ me, root }) =>
        (await me.getxattr(join(root, name), key)).toString("hex"),
      );
    },
  ],
  [
    3,
    (random) => {
      const [name, slot] = [path(random), random.below(SLOTS)];
      return operation(`hold ${name} as ${slot}`, async ({ me, root, open }) => {
        const before = open[slot];
        open[slot] = undefined;
        if (before !== undefined) await me.close(before);
        open[slot] = await me.open(join(root, name), O_RDWR);
      });
    },
  ],
  [
    3,
    (random) => {
      const slot = random.below(SLOTS);
      return operation(`look at what is held as ${slot}`, async ({ me, open }) => {
        const fd = open[slot];
        if (fd === undefined) return "nothing";
        const { nlink, mode } = await me.fstat(fd);
        return { nlink, mode, contents: await contents(me, fd) };
      });
    },
  ],
  [
    2,
    (random) => {
      const [slot, offset] = [random.below(SLOTS), random.below(LENGTH_MAX)];
      const data = random.bytes(random.size(WRITE_MAX));
      return operation(`write ${data.length} at ${offset} of ${slot}`, async ({ me, open }) => {
        const fd = open[slot];
        if (fd === undefined) return "nothing";
        const written = await me.pwrite(fd, data, offset);
        await me.fsync(fd);
        return written;
      });
    },
  ],
];

const WEIGHT = MAKERS.reduce((sum, [often]) => sum + often, 0);

export function randomOperation(random: Random): Operation {
  let at = random.below(WEIGHT);
  for (const [often, make] of MAKERS) {
    if (at < often) return make(random);
    at -= often;
  }
  throw new Error("Weights do not sum up");
}

/** What an operation came to: what it answered, or the code it failed with. */
export async function outcome(operationRun: Promise<unknown>): Promise<unknown> {
  try {
    return (await operationRun) ?? "done";
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return code;
  }
}

/** Everything below a folder, by its path: as one process sees it. */
export async function treeOf(me: TestProcess, root: string): Promise<Record<string, unknown>> {
  const worker = { me, root, open: [] };
  const tree: Record<string, unknown> = {};
  const visit = async (folder: string): Promise<void> => {
    for (const name of (await me.listdir(join(root, folder))).map(String).toSorted()) {
      const at = join(folder, name);
      const { mode } = await me.lstat(join(root, at));
      const kind = mode & S_IFMT;
      tree[at] = {
        status: await status(worker, at),
        contents: await outcome(withFile(worker, at, O_RDONLY, (fd) => contents(me, fd))),
        xattrs: await outcome(me.listxattr(join(root, at)).then((names) => names.toSorted())),
      };
      if (kind === S_IFDIR) await visit(at);
    }
  };
  await visit("");
  return tree;
}
