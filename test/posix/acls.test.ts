import { chmod } from "node:fs/promises";
import { formatTestVolume, mountVolume } from "../support/mount.ts";
import { acls } from "./acls.ts";
import { testRules } from "./rules.ts";
import { mountNative } from "./support/native.ts";

testRules("on the native file system", { acls }, async () => {
  const native = await mountNative();
  await chmod(native.path, 0o755);
  return native;
});

testRules("on a volume with ACLs", { acls }, async () => {
  const stack = new AsyncDisposableStack();
  const volume = stack.use(await formatTestVolume({ format: ["--enable-acl"] }));
  await chmod(volume.folder, 0o711);
  const { path } = stack.use(await mountVolume(volume));
  return { path, [Symbol.asyncDispose]: () => stack.disposeAsync() };
});
