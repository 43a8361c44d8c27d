import type { Redis } from "ioredis";
import type { Format } from "../format.ts";
import type { Meta, MetaListener } from "../meta.ts";
import { refusalForWriting, requireCompatible } from "../version-gate.ts";
import { PATIENCE_MS } from "./answers.ts";
import { connectRedis, parseMetaUrl, SILENCE_MS } from "./connect.ts";
import { gatesInUse, loadFormat } from "./format-store.ts";
import { OpenVolume } from "./open-volume.ts";

/** How a mount opens its volume. */
export interface MetaOptions {
  /** As other clients see it in `status`. */
  readonly mountpoint: string;
  readonly readOnly: boolean;
  /** The session of the process before, which is taken over. */
  readonly sid?: bigint | undefined;
  readonly noBgjob?: boolean | undefined;
  /** When the hourly jobs are looked at first, a minute after the mount when absent. */
  readonly jobsAfterMs?: number | undefined;
  /** A directory that changed so lately keeps its times when names in it change; 0 when absent, which is what POSIX asks for. */
  readonly skipDirMtimeMs?: number | undefined;
  /** Between two heartbeats, 12 s when absent; all clients of a volume should have the same. */
  readonly heartbeatMs?: number | undefined;
  /** How long an operation waits for a server that does not answer, 30 s when absent. */
  readonly patienceMs?: number | undefined;
  /** The last notice that the process before had seen (`Meta.lastNotice`); what it kept is still good then. */
  readonly lastNotice?: string | undefined;
}

/** A connection that the caller closes. @throws Error in one sentence: no server, wrong password */
export async function openRedis(url: string): Promise<Redis> {
  return connectRedis(parseMetaUrl(url));
}

/**
 * The settings of a volume, with a connection that the caller closes; it is given up when it says nothing for `silenceMs`.
 *
 * @throws Error in one sentence: no server, wrong password, no volume
 */
export async function openFormat(
  url: string,
  silenceMs = SILENCE_MS,
): Promise<{ format: Format; client: Redis }> {
  const address = parseMetaUrl(url);
  const client = await connectRedis(address, { socketTimeout: silenceMs });
  try {
    const format = await loadFormat(client);
    if (format !== undefined) return { format, client };
    throw new Error(
      `Cannot open ${address.shown}: there is no volume; make one with juicefs format`,
    );
  } catch (error) {
    client.disconnect();
    throw error;
  }
}

/**
 * Opens a volume's metadata with a session of its own; read-only without one.
 *
 * @throws Error in one sentence: no server, no volume, a volume that this client must not write to
 */
export async function openMeta(
  url: string,
  options: MetaOptions,
  listener: MetaListener,
): Promise<Meta> {
  const silenceMs = Math.min(options.patienceMs ?? PATIENCE_MS, SILENCE_MS);
  const { format, client } = await openFormat(url, silenceMs);
  let subscriber: Redis | undefined;
  try {
    requireCompatible(format);
    const refusal = refusalForWriting(format, await gatesInUse(client));
    // A mount that is in use already goes on with a successor of its process, as it would without one.
    const begins = !options.readOnly && options.sid === undefined;
    if (refusal !== undefined && begins) throw new Error(refusal);
    subscriber = await connectRedis(parseMetaUrl(url), { autoResubscribe: false });
    return (await OpenVolume.start({ client, subscriber }, format, options, listener)).meta();
  } catch (error) {
    client.disconnect();
    subscriber?.disconnect();
    throw error;
  }
}
