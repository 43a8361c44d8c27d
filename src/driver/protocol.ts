import { z } from "zod";

/**
 * What dockerd sends and gets (docs.docker.com/engine/extend/plugins_volume). Bodies are JSON of whatever content type; after
 * a broken connection dockerd repeats a request with an empty body, which must never succeed.
 */

const ID_MAX = 1024;

export const CreateRequest = z.object({
  Name: z.string().min(1),
  /** Null or absent when there are none; values are always text, "" for an option given without one. */
  Opts: z.record(z.string(), z.string()).nullish(),
});
export const NameRequest = z.object({ Name: z.string().min(1) });
export const MountRequest = z.object({
  Name: z.string().min(1),
  ID: z.string().min(1).max(ID_MAX),
});
/** List, Capabilities and Activate take nothing. */
export const AnyRequest = z.unknown();

export interface ShownVolume {
  readonly Name: string;
  readonly Mountpoint: string;
  /** RFC 3339. */
  readonly CreatedAt: string;
  readonly Status?: Readonly<Record<string, unknown>>;
}

/** @throws RangeError in one sentence */
export function readRequest<T>(method: string, body: Buffer, schema: z.ZodType<T>): T {
  const needed = schema !== AnyRequest;
  if (body.length === 0 && needed) {
    throw new RangeError(
      `Cannot answer ${method}: the request came without a body, as it does after a broken connection; try again`,
    );
  }
  let json: unknown;
  try {
    json = body.length === 0 ? {} : JSON.parse(body.toString());
  } catch (cause) {
    throw new RangeError(`Cannot answer ${method}: the request is not JSON`, { cause });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new RangeError(
    `Cannot answer ${method}: ${issue?.path.join(".") ?? "the request"}: ${issue?.message ?? ""}`,
  );
}
