import type { Step } from "./steps.ts";

/** What may be found at a path; nothing, or bytes each of which is of one of the versions. The first one was synced. */
type Allowed = { readonly versions: readonly Buffer[] } | undefined;

const NOTHING = Buffer.alloc(0);

/** What must be found after a power loss, by what was acknowledged before. */
export class Expected {
  readonly #paths = new Map<string, readonly Allowed[]>();

  /** The step was acknowledged. */
  done(step: Step): void {
    this.#apply(step, (path, after) => this.#paths.set(path, [after]));
  }

  /** The step was begun: it may have happened, not, or in part. */
  begun(step: Step): void {
    if (step.kind === "replace")
      this.#paths.set(step.temporary, [undefined, anyOf([NOTHING, step.data])]);
    const unsynced =
      step.kind === "write" || step.kind === "hold" ? { ...step, sync: "later" } : step;
    this.#apply(unsynced as Step, (path, after) => {
      this.#paths.set(path, [...(this.#paths.get(path) ?? [undefined]), after]);
    });
  }

  /** What is wrong with what was found, a sentence each. Folders are not among it. */
  check(found: ReadonlyMap<string, Buffer | Error>): string[] {
    const wrong: string[] = [];
    for (const [path, allowed] of this.#paths) {
      const bytes = found.get(path);
      if (bytes instanceof Error) {
        wrong.push(`${path}: ${bytes.message}`);
        continue;
      }
      const failures = allowed.map((one) => differs(bytes, one));
      if (!failures.includes(undefined)) wrong.push(`${path}: ${failures.join("; or ")}`);
    }
    for (const path of found.keys()) {
      if (!this.#paths.has(path)) wrong.push(`${path}: nothing of that name was ever made`);
    }
    return wrong;
  }

  #apply(step: Step, set: (path: string, after: Allowed) => void): void {
    switch (step.kind) {
      case "mkdir":
        break;
      case "write":
      case "hold": {
        const before = this.#versions(step.path);
        const after = overwritten(before.at(-1) ?? NOTHING, step.data, step.offset);
        const later = (step.sync as string) === "later";
        set(step.path, anyOf(later ? [...before, after] : [after]));
        break;
      }
      case "replace":
        set(step.path, anyOf([step.data]));
        break;
      case "move":
        set(step.to, anyOf(this.#versions(step.path)));
        set(step.path, undefined);
        break;
      case "truncate": {
        const before = this.#versions(step.path).at(-1) ?? NOTHING;
        const after = Buffer.alloc(step.size);
        before.copy(after);
        set(step.path, anyOf([after]));
        break;
      }
      case "remove":
        set(step.path, undefined);
        break;
    }
  }

  #versions(path: string): readonly Buffer[] {
    return this.#paths.get(path)?.at(-1)?.versions ?? [NOTHING];
  }
}

function anyOf(versions: readonly Buffer[]): Allowed {
  return { versions };
}

function overwritten(before: Buffer, data: Buffer, offset: number): Buffer {
  const after = Buffer.alloc(Math.max(before.length, offset + data.length));
  before.copy(after);
  data.copy(after, offset);
  return after;
}

/** How bytes are none that are allowed; undefined when they are. */
function differs(bytes: Buffer | undefined, allowed: Allowed): string | undefined {
  if (bytes === undefined) return allowed === undefined ? undefined : "it is not there";
  if (allowed === undefined) return "it is there although it was removed";
  const { versions } = allowed;
  const lengths = versions.map((version) => version.length);
  if (bytes.length < Math.min(...lengths) || bytes.length > Math.max(...lengths)) {
    return `it has ${bytes.length} bytes, not ${[...new Set(lengths)].join(" or ")}`;
  }
  // What was never synced may show as zeros where what follows was stored.
  const synced = versions[0]?.length ?? 0;
  const isOther = (byte: number, at: number): boolean =>
    versions.every((version) => version[at] !== byte) && (at < synced || byte !== 0);
  const wrong = bytes.findIndex(isOther);
  return wrong < 0 ? undefined : `byte ${wrong} of ${bytes.length} is another one`;
}
