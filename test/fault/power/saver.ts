import { writeSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { readOrMakeKey, StateFile } from "../../../src/driver/state-file.ts";

/** Saves numbers from one on as the driver saves its state until it is killed; prints its key, then each number that was saved. */

export const Saved = z.object({ number: z.number(), padding: z.string() });

export function stateFileIn(folder: string): StateFile<z.infer<typeof Saved>> {
  return new StateFile(join(folder, "lib/state/state.json"), Saved);
}

export function keyIn(folder: string): Promise<Buffer> {
  return readOrMakeKey(join(folder, "lib/keys/key"));
}

if (import.meta.main) {
  const [folder = "", first = ""] = process.argv.slice(2);
  writeSync(1, `${(await keyIn(folder)).toString("hex")}\n`);
  const file = stateFileIn(folder);
  for (let number = Number(first); ; number++) {
    await file.save(() => ({ number, padding: "x".repeat((number * 997) % 20_000) }));
    writeSync(1, `${number}\n`);
  }
}
