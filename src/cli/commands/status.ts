import { hostname } from "node:os";
import { Command } from "commander";
import { askMount } from "../../mount/control.ts";
import { onOff, text } from "../../options/specs.ts";
import { withDefaults } from "../../options/table.ts";
import type { NoticeStatus, StagedBlocks } from "../../volume/open.ts";
import type { VolumeStatus } from "../../volume/status.ts";
import { printJson, runJob } from "../job.ts";
import { addOptions, givenOf } from "../options.ts";

type Session = VolumeStatus["Sessions"][number];

const table = {
  session: text({
    ...{ short: "s", value: "sid" },
    help: "one session only, with its locks and sustained inodes",
  }),
  more: onOff({ short: "m", help: "also what was removed and still takes room; may take long" }),
};

const ASK_MS = 2000;

export function statusCommand(): Command {
  const command = new Command("status")
    .summary("show the settings and sessions of a volume")
    .argument("<META-URL>", "such as redis://localhost/1");
  return addOptions(command, table).action(async (metaUrl: string) => {
    const { sessionStatus, volumeStatus } = await import("../../volume/status.ts");
    const { session, more } = withDefaults(table, givenOf(command, table));
    if (session !== undefined) {
      printJson(await withMount(await sessionStatus(metaUrl, sessionNumber(session))));
      return;
    }
    const status = await runJob((options) => volumeStatus({ metaUrl, more }, options));
    printJson({ ...status, Sessions: await Promise.all(status.Sessions.map(withMount)) });
  });
}

interface Asked {
  readonly Staged?: StagedBlocks;
  readonly Notices?: NoticeStatus;
}

/** A mount of this machine is asked what it has not uploaded yet, and what it heard of others' changes. */
async function withMount(session: Session): Promise<Session & Asked> {
  if (session.HostName !== hostname()) return session;
  try {
    const status = await askMount(session.MountPoint, { ask: "status" }, { limitMs: ASK_MS });
    if (status?.sid !== String(session.Sid)) return session;
    const { staged, notices } = status;
    return {
      ...session,
      ...(staged === undefined ? {} : { Staged: staged }),
      ...(notices === undefined ? {} : { Notices: notices }),
    };
  } catch {
    // It is not ours to ask, or does not answer: what others know of it is shown all the same.
    return session;
  }
}

function sessionNumber(given: string): bigint {
  if (!/^\d+$/.test(given)) throw new Error(`Cannot use --session "${given}": expected a number`);
  return BigInt(given);
}
