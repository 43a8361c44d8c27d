import type { Inherited } from "../meta.ts";
import type { MetaContext } from "./context.ts";

/** What our session holds at the server, for a process that takes it over. */
export async function inherited({ answers, client, sid }: MetaContext): Promise<Inherited> {
  return answers.ask("take a session over", async () => {
    const [nameless, locks] = await Promise.all([
      client.smembers(`session${sid}`),
      client.smembers(`locked${sid}`),
    ]);
    const locked = locks.flatMap((key) => /lockp(\d+)$/.exec(key)?.[1] ?? []);
    return { nameless: nameless.map(BigInt), locked: locked.map(BigInt) };
  });
}
