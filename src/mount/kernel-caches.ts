import type { KernelNotifier } from "../fuse/notify.ts";
import type { KernelCaches } from "../vfs/file-system.ts";

/** Tells the kernel what is stale, in the file system's words. */
export function kernelCaches(notifier: KernelNotifier): KernelCaches {
  return {
    attrChanged(ino, via) {
      if (notifier.dropAttributes(ino) || via === undefined) return;
      notifier.dropAttributesLater(ino, via.parent);
    },
    dataChanged(ino) {
      notifier.dropPages(ino);
    },
    entryChanged(parent, name, gone) {
      notifier.dropEntry(parent, name, gone);
    },
    settled: () => notifier.settled(),
  };
}
