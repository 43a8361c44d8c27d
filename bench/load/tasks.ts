import { coherenceKinds, type ChangeKind } from "./coherence-tasks.ts";
import { dataKinds } from "./data-tasks.ts";
import { nameKinds } from "./name-tasks.ts";

/**
 * What a load process does: plain system calls in a loop, as quick as this machine makes them on a plain folder. A task is
 * prepared first, so that nothing but the calls is timed, and answers how many operations it made.
 */
export interface Task {
  readonly kind: TaskKind;
  readonly folder: string;
  /** Names are `<prefix><number>`, from 0 on. */
  readonly prefix: string;
  /** How many names, or writes. */
  readonly count: number;
  /** How often everything is done; once where it is absent. */
  readonly times?: number;
  /** Of each file. */
  readonly bytes?: number;
  /** Ends after this time instead of after `count` operations. */
  readonly seconds?: number;
  /** What is changed in `folder` and looked at in `otherFolder`. */
  readonly change?: ChangeKind;
  readonly otherFolder?: string;
}

/** What is timed; answers how many operations it made, and what it measured itself. */
export type Prepared = () => number | { operations: number; samples: number[] };

const kinds = { ...nameKinds, ...dataKinds, ...coherenceKinds } satisfies Record<
  string,
  (task: Task) => Prepared
>;

export type TaskKind =
  keyof typeof nameKinds | keyof typeof dataKinds | keyof typeof coherenceKinds;

export function prepareTask(task: Task): Prepared {
  return kinds[task.kind](task);
}
