import { existsSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Format } from "../meta/format.ts";
import { loadFormat } from "../meta/redis/format-store.ts";
import { openRedis } from "../meta/redis/open.ts";
import type { FormatValues } from "../options/format.ts";
import { destroyVolume } from "./destroy.ts";
import { formatVolume } from "./format.ts";

/**
 * A job on a volume as a process of its own, for a program that must not load what touches Redis and stores. It reads one
 * job as JSON from standard input, where secrets are seen by nobody, and prints one answer as JSON.
 */

/** Makes the volume; one that is there is left as it is. */
export interface FormatJob {
  readonly job: "format";
  readonly metaUrl: string;
  /** What the volume must be called; absent: whatever it is called. */
  readonly name?: string | undefined;
  /** What it is called when it is made and `name` is absent. */
  readonly fallbackName: string;
  readonly values: FormatValues;
}

/** Deletes the volume for good, unless somebody has it mounted. One that is gone already is done. */
export interface DestroyJob {
  readonly job: "destroy";
  readonly metaUrl: string;
  readonly uuid: string;
}

export type Job = FormatJob | DestroyJob;

/** A volume as the settings in its metadata tell. */
export interface FormatDone {
  readonly name: string;
  readonly uuid: string;
  readonly storage: string;
  readonly bucket: string;
  readonly made: boolean;
}

export interface DestroyDone {
  readonly objects: number;
}

export type JobAnswer<Done> = { readonly done: Done } | { readonly failed: string };

async function format({ metaUrl, name, fallbackName, values }: FormatJob): Promise<FormatDone> {
  const request = { metaUrl, name: name ?? fallbackName, values, noUpdate: true };
  const { format: found, made } = await formatVolume(request);
  if (name !== undefined && found.Name !== name) {
    throw new Error(
      `Cannot use volume "${name}": the database holds volume "${found.Name}"; correct the name or choose another database number`,
    );
  }
  if (!made) {
    requireStorage(found, values.storage);
    requireObjectsHere(found);
  }
  const { Name, UUID, Storage, Bucket } = found;
  return { name: Name, uuid: UUID, storage: Storage, bucket: Bucket, made };
}

/**
 * Who asks for an object store must not get a folder of this host that a volume of that name had before, nor the other way round.
 *
 * @throws Error in one sentence
 */
function requireStorage({ Name, Storage, Bucket }: Format, asked = Storage): void {
  const isFolder = (storage: string): boolean => storage.toLowerCase() === "file";
  if (isFolder(asked) === isFolder(Storage)) return;
  throw new Error(
    `Cannot use volume "${Name}": it is there already and lies in ${Storage} storage at "${Bucket}", not in ${asked} storage; leave storage and bucket out to use it, or give the new one another name or metaurl`,
  );
}

/**
 * A folder that only another host has would be made here too: neither could read what the other writes.
 *
 * @throws Error in one sentence
 */
function requireObjectsHere({ Name, Storage, Bucket, Shards }: Format): void {
  const folder = join(Bucket, Name);
  if (Storage !== "file" || Shards > 1 || existsSync(folder)) return;
  throw new Error(
    `Cannot use volume "${Name}": its objects lie in the folder "${folder}", which is not on this host; what hosts share needs a bucket that all of them reach`,
  );
}

/** Another host, or a process that was ended since, may have destroyed it. */
async function destroy({ metaUrl, uuid }: DestroyJob): Promise<DestroyDone> {
  const client = await openRedis(metaUrl);
  try {
    const found = await loadFormat(client);
    if (found?.UUID !== uuid) return { objects: 0 };
  } finally {
    client.disconnect();
  }
  return destroyVolume({ metaUrl, uuid });
}

async function answer(): Promise<JobAnswer<FormatDone | DestroyDone>> {
  try {
    const job = JSON.parse(await text(process.stdin)) as Job;
    return { done: job.job === "format" ? await format(job) : await destroy(job) };
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) };
  }
}

process.stdout.write(`${JSON.stringify(await answer())}\n`);
