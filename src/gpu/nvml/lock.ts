/**
 * Who may use the library at the same time: many calls together, a reset alone, and one change per GPU at a time.
 */

/** Lets many work together, or one alone. Whoever waits to be alone goes before those who come later. */
export class Gate {
  #inside = 0;
  #closed: Promise<void> | undefined;
  #emptied: (() => void) | undefined;

  /** Runs `work` beside others; must not be called from within `work` of the same gate. */
  async shared<T>(work: () => Promise<T>): Promise<T> {
    while (this.#closed !== undefined) await this.#closed;
    this.#inside += 1;
    try {
      return await work();
    } finally {
      this.#inside -= 1;
      if (this.#inside === 0) this.#emptied?.();
    }
  }

  /** Runs `work` when everybody inside has left; nobody enters meanwhile. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    while (this.#closed !== undefined) await this.#closed;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#closed = promise;
    try {
      if (this.#inside > 0) {
        await new Promise<void>((done) => {
          this.#emptied = done;
        });
        this.#emptied = undefined;
      }
      return await work();
    } finally {
      this.#closed = undefined;
      resolve();
    }
  }
}

/** One at a time for each key, in the order they came. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  async take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    const settled = mine.catch(() => {});
    this.#last.set(key, settled);
    try {
      return await mine;
    } finally {
      if (this.#last.get(key) === settled) this.#last.delete(key);
    }
  }
}
