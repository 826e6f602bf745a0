/**
 * How long to wait before the next try.
 *
 * A connection counts as good by how long it lasted, not by what it brought: a server that sends one event and closes
 * would otherwise be asked again at once, over and over.
 */

export interface BackOffSettings {
  /** Wait after the first failure. */
  readonly initialMs: number;
  readonly maximumMs: number;
  /** A connection that lasted this long clears the count. */
  readonly steadyMs: number;
}

/** From 200 ms, doubling, to 30 s; half a minute of calm clears the count. */
export const defaultBackOff: BackOffSettings = { initialMs: 200, maximumMs: 30_000, steadyMs: 30_000 };

/** Counts failures and tells the wait that follows from them. */
export class BackOff {
  readonly #settings: BackOffSettings;
  readonly #random: () => number;
  #failures = 0;

  /** `random` gives numbers from 0 to below 1. */
  constructor(random: () => number, settings: BackOffSettings = defaultBackOff) {
    this.#random = random;
    this.#settings = settings;
  }

  /**
   * The wait in milliseconds after a try that lasted `lastedMs`: none after a steady one, otherwise between half and all
   * of the doubled wait, and never less than what the server asked for.
   */
  afterTry(lastedMs: number, retryAfterMs = 0): number {
    const { initialMs, maximumMs, steadyMs } = this.#settings;
    if (lastedMs >= steadyMs) {
      this.#failures = 0;
      return retryAfterMs;
    }
    const fullMs = Math.min(maximumMs, initialMs * 2 ** this.#failures);
    if (fullMs < maximumMs) this.#failures += 1;
    return Math.max(retryAfterMs, fullMs * (0.5 + this.#random() / 2));
  }

  /** Forgets all failures, after something that counts as success however short it was. */
  clear(): void {
    this.#failures = 0;
  }
}
