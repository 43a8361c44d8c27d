import type { Task } from "../load/tasks.ts";
import { forgetPages } from "./kernel-pages.ts";
import type { Stage, Work } from "./work.ts";

/** Works on the data of files. */

const MIB = 1 << 20;
const SMALL_BYTES = 128 << 10;
const CROWD = 8;
const LOGS = 16;

export const dataWorks: readonly Work[] = [
  ...small(1, "1 process"),
  ...small(CROWD, "8 processes"),
  {
    name: "write-large",
    title: "sequential write of 1 MiB requests",
    operationBytes: MIB,
    prepare: ({ folder, scale }) =>
      Promise.resolve([large("writeStream", folder, scale.largeBytes)]),
  },
  {
    name: "read-large-first",
    title: "sequential read, first",
    operationBytes: MIB,
    warmUp: false,
    prepare: async (stage) => {
      await stage.forget(await largeFile(stage));
      return [large("readStream", await largeFile(stage), stage.scale.largeBytes)];
    },
  },
  {
    name: "read-large-again",
    title: "sequential read, again",
    operationBytes: MIB,
    warmUp: false,
    prepare: async (stage) => [large("readStream", await largeFile(stage), stage.scale.largeBytes)],
    lead: async ({ pool }, tasks) => {
      await pool.run(tasks);
    },
  },
  {
    name: "read-pages",
    title: "random 4 KiB reads, client's cache",
    warmUp: false,
    prepare: async (stage) => {
      const folder = await largeFile(stage);
      await stage.pool.run([large("readStream", folder, stage.scale.largeBytes)]);
      // A client's own cache is asked; a plain folder has none but the kernel's.
      if (stage.target.name !== "plain") await forgetPages(folder);
      const { seconds, largeBytes } = stage.scale;
      return [{ ...large("readPages", folder, largeBytes), seconds }];
    },
  },
  {
    name: "write-pages",
    title: "random 4 KiB writes, then fsync",
    warmUp: false,
    prepare: async (stage) => {
      const { largeBytes, writes } = stage.scale;
      return [{ ...large("writePages", await largeFile(stage), largeBytes), count: writes }];
    },
  },
  {
    name: "fsync",
    title: "4 KiB write + fsync each, 1 process",
    prepare: (stage) => logs(stage, 1),
  },
  {
    name: "fsync-16",
    title: "4 KiB write + fsync each, 16 processes",
    prepare: (stage) => logs(stage, LOGS),
  },
];

function small(processes: number, who: string): Work[] {
  const name = processes === 1 ? "" : `-${processes}`;
  return [
    {
      name: `write-small${name}`,
      title: `128 KiB files, write + close, ${who}`,
      prepare: ({ folder, scale }) =>
        Promise.resolve(smallFiles("writeFiles", processes, { folder, scale })),
    },
    {
      name: `read-small${name}-cold`,
      title: `128 KiB files, read cold, ${who}`,
      warmUp: false,
      prepare: async (stage) => {
        await stage.forget(await writtenFiles(stage, processes));
        const folder = await writtenFiles(stage, processes);
        return smallFiles("readFiles", processes, { folder, scale: stage.scale });
      },
    },
    {
      name: `read-small${name}-warm`,
      title: `128 KiB files, read warm, ${who}`,
      warmUp: false,
      prepare: async (stage) => {
        const folder = await writtenFiles(stage, processes);
        return smallFiles("readFiles", processes, { folder, scale: stage.scale });
      },
      lead: async ({ pool }, tasks) => {
        await pool.run(tasks);
      },
    },
  ];
}

function smallFiles(
  kind: "writeFiles" | "readFiles",
  processes: number,
  { folder, scale }: Pick<Stage, "folder" | "scale">,
): Task[] {
  return Array.from({ length: processes }, (_, at) => {
    return { kind, folder, prefix: `p${at}-`, count: scale.files, bytes: SMALL_BYTES };
  });
}

function writtenFiles(stage: Stage, processes: number): Promise<string> {
  return stage.shared(`small-${processes}`, async (folder) => {
    await stage.pool.run(smallFiles("writeFiles", processes, { ...stage, folder }));
  });
}

function large(kind: Task["kind"], folder: string, bytes: number): Task {
  return { kind, folder, prefix: "large", count: 1, bytes };
}

function largeFile(stage: Stage): Promise<string> {
  return stage.shared("large", async (folder) => {
    await stage.pool.run([large("writeStream", folder, stage.scale.largeBytes)]);
  });
}

function logs({ folder, scale }: Stage, processes: number): Promise<Task[]> {
  const { seconds } = scale;
  const tasks = Array.from({ length: processes }, (_, at) => {
    return { kind: "writeSynced" as const, folder, prefix: `log${at}-`, count: 1, seconds };
  });
  return Promise.resolve(tasks);
}
