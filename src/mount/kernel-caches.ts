import type { KernelNotifier } from "../fuse/notify.ts";
import type { KernelCaches } from "../vfs/file-system.ts";

/** Tells the kernel what is stale, in the file system's words. */
export function kernelCaches(notifier: KernelNotifier): KernelCaches {
  return {
    attrChanged(ino) {
      notifier.dropAttributes(ino);
    },
    dataChanged(ino) {
      notifier.dropAttributes(ino);
      notifier.dropPages(ino);
    },
    entryChanged(parent, name) {
      notifier.expireEntry(parent, name);
    },
  };
}
