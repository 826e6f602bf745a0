/**
 * Pods that are left alone for a while, longer each time, so that none of them holds up others or floods the API
 * (kube-scheduler's queue `podBackoffQ`).
 */
import { BackOff, defaultBackOff } from "../../kube/index.ts";

/** kube-scheduler's `podMaxBackoffSeconds`. */
const settings = { ...defaultBackOff, maximumMs: 10_000 };
/** Pauses end at multiples of this, so that those of many pods end together. */
const gridMs = 100;

interface Pause {
  /** Which it is since the pod was forgotten; the first is 1. */
  readonly count: number;
  readonly backOff: BackOff;
  readonly beganMs: number;
  readonly endMs: number;
}

/** By pod UID. */
export class Pauses {
  readonly #random: () => number;
  readonly #pods = new Map<string, Pause>();

  /** `random` gives numbers from 0 to below 1. */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** How many pods have had a pause since they were forgotten. */
  get size(): number {
    return this.#pods.size;
  }

  /**
   * Begins a pause that is longer than the pod's last, unless that is long ago, and as long as the server asks at least.
   * Returns when it ends.
   */
  begin(uid: string, nowMs: number, retryAfterMs?: number): number {
    const known = this.#pods.get(uid);
    const backOff = known?.backOff ?? new BackOff(this.#random, settings);
    const waitMs = backOff.afterTry(nowMs - (known?.beganMs ?? nowMs), retryAfterMs);
    const endMs = Math.ceil((nowMs + waitMs) / gridMs) * gridMs;
    this.#pods.set(uid, { count: this.count(uid) + 1, backOff, beganMs: nowMs, endMs });
    return endMs;
  }

  forget(uid: string): void {
    this.#pods.delete(uid);
  }

  /** How many pauses the pod has had. */
  count(uid: string): number {
    return this.#pods.get(uid)?.count ?? 0;
  }

  /** When the pod's pause ends or has ended; long ago for a pod that has had none. */
  endMs(uid: string): number {
    return this.#pods.get(uid)?.endMs ?? Number.NEGATIVE_INFINITY;
  }
}
