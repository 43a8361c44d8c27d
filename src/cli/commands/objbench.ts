import { Command } from "commander";
import { formatTable } from "../../options/format.ts";
import { count, onOff, size } from "../../options/specs.ts";
import { withDefaults } from "../../options/table.ts";
import { MIB } from "../../options/values.ts";
import { printJson, runJob } from "../job.ts";
import { addOptions, givenOf } from "../options.ts";

const table = {
  storage: formatTable.storage,
  "access-key": formatTable["access-key"],
  "secret-key": formatTable["secret-key"],
  "session-token": formatTable["session-token"],
  "storage-class": { ...formatTable["storage-class"], short: "sc" },
  shards: formatTable.shards,
  "block-size": size({ unit: 1024, initial: 4 * MIB, shown: "4M", help: "of large objects, KiB" }),
  "big-object-size": size({
    ...{ unit: MIB, initial: 1024 * MIB, shown: "1G" },
    help: "bytes in large objects, all together, MiB",
  }),
  "small-object-size": size({
    ...{ unit: 1024, initial: 128 << 10, shown: "128K" },
    help: "of small objects, KiB",
  }),
  "small-objects": count({ initial: 100, least: 1, help: "how many small ones" }),
  "skip-functional-tests": onOff({ help: "measure only" }),
  threads: count({ short: "p", initial: 4, least: 1, help: "requests at once" }),
};

export function objbenchCommand(): Command {
  const command = new Command("objbench")
    .summary("try what an object storage promises, and how quick it is")
    .argument("<ENDPOINT>", "URL of a bucket, or a folder");
  return addOptions(command, table).action(async (endpoint: string) => {
    const { benchObjects } = await import("../../volume/objbench.ts");
    const values = withDefaults(table, givenOf(command, table));
    const { ACCESS_KEY, SECRET_KEY, SESSION_TOKEN } = process.env;
    const storage = {
      ...{ Storage: (values.storage ?? "file").toLowerCase(), Bucket: endpoint },
      AccessKey: values["access-key"] ?? ACCESS_KEY ?? "",
      SecretKey: values["secret-key"] ?? SECRET_KEY ?? "",
      SessionToken: values["session-token"] ?? SESSION_TOKEN ?? "",
      ...{ Shards: values.shards ?? 0, StorageClass: values["storage-class"] ?? "" },
    };
    const request = {
      ...{ storage, blockSize: values["block-size"], bigBytes: values["big-object-size"] },
      ...{ smallBytes: values["small-object-size"], smallObjects: values["small-objects"] },
      ...{ threads: values.threads, skipFunctional: values["skip-functional-tests"] },
    };
    const result = await runJob((options) => benchObjects(request, options));
    printJson(result);
    const broken = Object.values(result.functional ?? {}).filter((told) => told !== "pass");
    if (broken.length > 0) throw new Error(`The storage breaks ${broken.length} promises`);
  });
}
