#!/usr/bin/env node
import { useCompileCache } from "./base/compile-cache.ts";

useCompileCache();
const { runProgram } = await import("./cli/program.ts");

try {
  await runProgram(process.argv.slice(2));
} catch (error) {
  const text = error instanceof Error ? error.message : String(error);
  process.stderr.write(`juicefs: ${text}\n`);
  process.exitCode = 1;
}
