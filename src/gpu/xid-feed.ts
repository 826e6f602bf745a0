/**
 * Carries XID events to everybody who listens.
 */
import type { XidEvent } from "./driver.ts";

export class XidFeed {
  readonly #listeners = new Set<(event: XidEvent) => void>();

  get listened(): boolean {
    return this.#listeners.size > 0;
  }

  /** Gives `event` to every listener. */
  raise(event: XidEvent): void {
    for (const listen of this.#listeners) listen(event);
  }

  /** Events from this call on, until the signal fires; none is lost between two reads. */
  subscribe(signal: AbortSignal): AsyncIterableIterator<XidEvent> {
    const queue: XidEvent[] = [];
    let news = Promise.withResolvers<void>();
    const wake = (): void => {
      news.resolve();
      news = Promise.withResolvers<void>();
    };
    let open = !signal.aborted;
    const listen = (event: XidEvent): void => {
      queue.push(event);
      wake();
    };
    const close = (): void => {
      open = false;
      this.#listeners.delete(listen);
      signal.removeEventListener("abort", close);
      wake();
    };
    if (open) {
      this.#listeners.add(listen);
      signal.addEventListener("abort", close);
    }
    return {
      [Symbol.asyncIterator]() {
        return this;
      },
      async next() {
        for (;;) {
          const value = open ? queue.shift() : undefined;
          if (value !== undefined) return { done: false, value };
          if (!open) return { done: true, value: undefined };
          await news.promise;
        }
      },
      async return() {
        close();
        return { done: true, value: undefined };
      },
    };
  }
}
