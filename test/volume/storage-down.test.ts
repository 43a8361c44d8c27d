import assert from "node:assert/strict";
import { test } from "node:test";
import { formatTestVolume, juicefs } from "../support/mount.ts";
import { onMinio, startMinio } from "../support/minio.ts";

test("jobs on a volume whose store is down say so, naming it", async () => {
  const minio = await startMinio();
  await using volume = await formatTestVolume({ format: onMinio(minio) });
  const { stdout } = await juicefs("config", volume.metaUrl);
  const { UUID } = JSON.parse(stdout) as { UUID: string };
  await minio[Symbol.asyncDispose]();
  const jobs = [["gc"], ["fsck"], ["destroy", UUID, "--yes"]] as const;
  for (const [command, ...args] of jobs) {
    await assert.rejects(
      juicefs(command, volume.metaUrl, ...args),
      /juicefs: Cannot list minio:[^ ]+\/data\/test-volume\/: nobody listens there; start it/,
    );
  }
  await juicefs("status", volume.metaUrl);
  await assert.rejects(
    juicefs("objbench", "--storage", "minio", minio.bucket("data")),
    /juicefs: Cannot use minio:[^ ]+\/data\/[^ ]+: nobody listens there; start it/,
  );
});
