/**
 * What is wanted of the MPS control daemon of one device, and how it stands.
 */
import type { MpsDaemon } from "../../sharing/index.ts";

/** What the daemon shall be. */
export interface MpsWish {
  readonly daemon: MpsDaemon;
  /** The MPS root directory. */
  readonly root: string;
}

/**
 * How it stands: `waiting` until pods that hold the device without MPS have ended; `ending` until those that hold it by MPS
 * have; shares may be given out in `ready` alone.
 */
export type MpsState =
  | { readonly kind: "starting" }
  | { readonly kind: "ready"; readonly clients: number }
  | { readonly kind: "down"; readonly reason: string }
  | { readonly kind: "waiting" }
  | { readonly kind: "ending"; readonly held: boolean }
  | { readonly kind: "gone" };
