import { chmod } from "node:fs/promises";
import { formatTestVolume, mountVolume } from "../support/mount.ts";
import { CASES } from "./cases.ts";
import { testRules } from "./rules.ts";

/** Our mount passes the same rules as the native file system. */
testRules("on a mounted volume", CASES, async () => {
  const stack = new AsyncDisposableStack();
  const volume = stack.use(await formatTestVolume());
  // The test's folder is its owner's alone; other users walk through it.
  await chmod(volume.folder, 0o711);
  const { path } = stack.use(await mountVolume(volume));
  return { path, [Symbol.asyncDispose]: () => stack.disposeAsync() };
});
