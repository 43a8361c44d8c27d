import { TYPE_DIRECTORY } from "../meta/limits.ts";
import type { Meta } from "../meta/meta.ts";
import type { Ino } from "../meta/types.ts";
import { count, type Counts } from "./info.ts";
import { silent, type JobOptions } from "./progress.ts";
import { walk } from "./walk.ts";

/** How much lies in the folders of a tree (JuiceFS cmd/summary.go, 1.4). */
export interface TreeSummary extends Counts {
  readonly path: string;
  readonly type: "dir" | "file";
  /** The largest first. */
  readonly children?: readonly TreeSummary[] | undefined;
}

interface Node extends Counts {
  readonly name: string;
  readonly type: "dir" | "file";
  readonly depth: number;
  readonly parent: Node | undefined;
  readonly children: Node[];
}

/**
 * @param depth how deep folders are told one by one
 * @param entries how many of each folder
 */
export async function summarize(
  meta: Meta,
  { ino, path }: { ino: Ino; path: string },
  options: JobOptions & { depth: number; entries: number },
): Promise<TreeSummary> {
  const { progress = silent, signal, depth, entries: most } = options;
  const root = node(path, "dir", undefined);
  count(root, await meta.getattr(ino));
  // Folders deeper than what is told count for the one above them.
  const nodes = new Map<Ino, Node>([[ino, root]]);
  const counter = progress.count("inodes looked at");
  for await (const batch of walk(meta, ino, { signal })) {
    const parent = nodes.get(batch.directory) ?? root;
    for (const { attr, name, ino: child, type } of batch.entries) {
      if (attr === undefined) continue;
      const listed = parent.depth < depth;
      const at = listed
        ? node(name.toString(), type === TYPE_DIRECTORY ? "dir" : "file", parent)
        : parent;
      if (listed) keepLargest(parent, at, most);
      if (type === TYPE_DIRECTORY) nodes.set(child, at);
      for (let above: Node | undefined = at; above !== undefined; above = above.parent) {
        count(above, attr);
      }
    }
    counter.add(batch.entries.length);
  }
  counter.end();
  return told(root, most);
}

function node(name: string, type: "dir" | "file", parent: Node | undefined): Node {
  const depth = parent === undefined ? 0 : parent.depth + 1;
  return { name, type, parent, depth, children: [], files: 0, dirs: 0, length: 0, size: 0 };
}

/** A folder of very many files keeps few of them in memory: folders may still grow, the smallest files go. */
function keepLargest(parent: Node, child: Node, most: number): void {
  parent.children.push(child);
  if (parent.children.length < most * 100) return;
  const files = parent.children.filter(({ type }) => type === "file").toSorted(bySize);
  const kept = new Set(files.slice(0, most));
  const left = parent.children.filter(
    (one) => one.type === "dir" || kept.has(one) || one === child,
  );
  parent.children.splice(0, parent.children.length, ...left);
}

function bySize(a: Node, b: Node): number {
  return b.size - a.size;
}

function told(
  { name, type, children, files, dirs, length, size }: Node,
  most: number,
): TreeSummary {
  const largest = children.toSorted(bySize).slice(0, most);
  return {
    ...{ path: name, type, files, dirs, length, size },
    children: largest.length === 0 ? undefined : largest.map((child) => told(child, most)),
  };
}
