import { chmod } from "node:fs/promises";
import { CASES } from "./cases.ts";
import { testRules } from "./rules.ts";
import { mountNative } from "./support/native.ts";

/** A file system of the kernel's own passes the rules: the rules are right. */
testRules("on the native file system", CASES, async () => {
  const native = await mountNative();
  await chmod(native.path, 0o755);
  return native;
});
