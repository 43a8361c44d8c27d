#!/usr/bin/env node
import { useCompileCache } from "./base/compile-cache.ts";

useCompileCache();
// Who reads the results may go away early, and that is no error to tell; a disk may be full, and that is one.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") tell(`Cannot write to standard output: ${error.code}`);
  process.exit(1);
});
process.stderr.on("error", () => undefined);

try {
  const { isMountHelper, mountArguments } = await import("./cli/mount-helper.ts");
  const { runProgram } = await import("./cli/program.ts");
  const given = process.argv.slice(2);
  await runProgram(isMountHelper(process.argv[1]) ? mountArguments(given) : given);
} catch (error) {
  tell(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}

function tell(text: string): void {
  process.stderr.write(`juicefs: ${text}\n`);
}
