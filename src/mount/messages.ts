import type { Negotiated } from "../fuse/init.ts";
import type { MountValues } from "../options/mount.ts";
import type { NoticeStatus, StagedBlocks } from "../volume/open.ts";

/**
 * What supervisor and serving process of a mount say to each other, over a channel that ends with either of them. The
 * meta URL may hold a password: it travels here and nowhere else.
 */

export interface MountConfig {
  readonly metaUrl: string;
  /** Absolute. */
  readonly mountpoint: string;
  readonly values: MountValues;
}

/** What a serving process is given. */
export interface ServerConfig extends MountConfig {
  /** In memory; what a successor must find lies there. */
  readonly folder: string;
}

/** What the process before knew that a successor needs. */
export interface Succession {
  readonly negotiated: Negotiated;
  /** Decimal. */
  readonly sid: string;
  /** Nobody has answered for long: where the volume cannot be opened, whoever waits is told that it failed. */
  readonly refuses: boolean;
}

/** What the volume turned out to be. */
export interface OpenedMessage {
  readonly name: string;
  readonly uuid: string;
  readonly acl: boolean;
  readonly sid: string;
}

/** A mount that is served, for a supervisor that is to look after it. */
export interface ServedMount {
  readonly config: ServerConfig;
  readonly volume: OpenedMessage;
  readonly negotiated: Negotiated;
  readonly serverPid: number;
}

export type ToServer =
  /** Open the volume. */
  | { readonly kind: "open"; readonly config: ServerConfig }
  /** The mount is made: serve it. */
  | { readonly kind: "serve"; readonly negotiated: Negotiated }
  /** Take a mount over from a process that is gone. */
  | { readonly kind: "succeed"; readonly config: ServerConfig; readonly after: Succession }
  /** Stop serving and end; a successor finds everything. Without a mount: end in order. */
  | { readonly kind: "leave" }
  /** Upload everything that is staged before the end, whatever the hour. */
  | { readonly kind: "upload-at-end" }
  /** Store whatever was written so far. */
  | { readonly kind: "flush" }
  | { readonly kind: "ping" };

export type ToSupervisor =
  | ({ readonly kind: "opened" } & OpenedMessage)
  /** One sentence. */
  | { readonly kind: "failed"; readonly message: string }
  /** The program is loaded. */
  | { readonly kind: "prepared" }
  | { readonly kind: "serving" }
  | { readonly kind: "pong" }
  /** What is not uploaded yet changed. */
  | { readonly kind: "staged"; readonly staged: StagedBlocks }
  /** Notices of changes came in. */
  | { readonly kind: "notices"; readonly notices: NoticeStatus }
  /** What was written before it was asked is stored, or why not. */
  | { readonly kind: "flushed"; readonly failure?: string }
  /** The volume is gone: unmount. */
  | { readonly kind: "gone"; readonly reason: string }
  /** Unmounted, and everything is stored. */
  | { readonly kind: "ended" };
