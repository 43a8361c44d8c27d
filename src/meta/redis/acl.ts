import type { AclKind } from "../meta.ts";
import type { Attr, Caller, Ino } from "../types.ts";
import type { MetaContext } from "./context.ts";
import { attr, optionalBytes } from "./reply.ts";
import { translated } from "./scripts.ts";
import { groupsOf } from "./setattr.ts";

/** POSIX ACLs (JuiceFS pkg/meta/base.go `SetFacl`, 1.4): rules are shared and never change, so what was read stays. */

export async function aclRule(context: MetaContext, id: number): Promise<Buffer | undefined> {
  return context.answers.ask("getfacl", async () => {
    try {
      return optionalBytes(await context.client.hgetBuffer("acl", String(id)));
    } catch (error) {
      throw translated(error, "getfacl");
    }
  });
}

/** Without a rule the ACL is removed. @throws FsError EPERM, EACCES (a default one for what is no directory) */
export async function setAcl(
  context: MetaContext,
  caller: Caller,
  ino: Ino,
  { kind, rule }: { kind: AclKind; rule: Buffer | undefined },
): Promise<Attr> {
  const reply = await context.answers.change(
    "setfacl",
    [`i${ino}`],
    [ino.toString(), kind, rule ?? "", caller.uid, groupsOf(caller)],
    caller.unique,
  );
  return attr(reply);
}
