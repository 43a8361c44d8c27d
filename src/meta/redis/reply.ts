import assert from "node:assert/strict";
import { decodeAttr } from "../attr.ts";
import type { Attr } from "../types.ts";

/** Shapes of replies. A reply of another shape is a bug of a script, not something to live with. */

export function list(reply: unknown): unknown[] {
  assert(Array.isArray(reply), "expected a list");
  return reply;
}

export function bytes(reply: unknown): Buffer {
  assert(Buffer.isBuffer(reply), "expected bytes");
  return reply;
}

/** ASCII, such as a number or a key. */
export function text(reply: unknown): string {
  return bytes(reply).toString("latin1");
}

export function optionalBytes(reply: unknown): Buffer | undefined {
  return Buffer.isBuffer(reply) ? reply : undefined;
}

export function integer(reply: unknown): number {
  if (typeof reply === "number") return reply;
  return Number(bytes(reply).toString("latin1"));
}

export function attr(reply: unknown): Attr {
  return decodeAttr(bytes(reply));
}

export function optionalAttr(reply: unknown): Attr | undefined {
  return Buffer.isBuffer(reply) ? decodeAttr(reply) : undefined;
}
