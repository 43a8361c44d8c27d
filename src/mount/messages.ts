import type { Negotiated } from "../fuse/init.ts";
import type { MountValues } from "../options/mount.ts";

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
}

/** What the volume turned out to be. */
export interface OpenedMessage {
  readonly name: string;
  readonly acl: boolean;
  readonly sid: string;
}

export type ToServer =
  /** Open the volume; with `after`, take a mount over and serve it at once. */
  | { readonly kind: "open"; readonly config: ServerConfig; readonly after?: Succession }
  /** The mount is made: serve it. */
  | { readonly kind: "serve"; readonly negotiated: Negotiated }
  /** It could not be made: end in order. */
  | { readonly kind: "leave" }
  | { readonly kind: "ping" };

export type ToSupervisor =
  | ({ readonly kind: "opened" } & OpenedMessage)
  /** One sentence. */
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "serving" }
  | { readonly kind: "pong" }
  /** The volume is gone: unmount. */
  | { readonly kind: "gone"; readonly reason: string }
  /** Unmounted, and everything is stored. */
  | { readonly kind: "ended" };
