/**
 * Pods whose decision the API refused: each is left alone for a while, and holds up no other (kube-scheduler's queue
 * `podBackoffQ`).
 */
import { BackOff, defaultBackOff } from "../../kube/index.ts";

/** kube-scheduler's `podMaxBackoffSeconds`. */
const settings = { ...defaultBackOff, maximumMs: 10_000 };

interface Held {
  readonly backOff: BackOff;
  dueMs: number;
}

/** By pod UID. */
export class HeldBack {
  readonly #random: () => number;
  readonly #pods = new Map<string, Held>();

  /** `random` gives numbers from 0 to below 1. */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** How many pods have been refused and not been forgotten. */
  get size(): number {
    return this.#pods.size;
  }

  /** Leaves a pod alone, longer each time until it is forgotten, and never shorter than the server asks. */
  add(uid: string, nowMs: number, retryAfterMs: number | undefined): void {
    const backOff = this.#pods.get(uid)?.backOff ?? new BackOff(this.#random, settings);
    this.#pods.set(uid, { backOff, dueMs: nowMs + backOff.afterTry(0, retryAfterMs) });
  }

  forget(uid: string): void {
    this.#pods.delete(uid);
  }

  /** Whether the pod is to be left alone now. */
  has(uid: string, nowMs: number): boolean {
    return (this.#pods.get(uid)?.dueMs ?? nowMs) > nowMs;
  }

  /** How long until a pod is to be tried again; `undefined` when none is left alone now. */
  untilNextMs(nowMs: number): number | undefined {
    const waits = [...this.#pods.values()].map(({ dueMs }) => dueMs - nowMs).filter((waitMs) => waitMs > 0);
    return waits.length === 0 ? undefined : waits.reduce((least, one) => Math.min(least, one));
  }
}
