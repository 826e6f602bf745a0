/**
 * Numbers by place, where a place is a node label with its value.
 */

/** Sums that grow and shrink as pods come and go; what was never added to is 0. */
export class TopologyCounts {
  readonly #byKey = new Map<string, Map<string, number>>();
  #total = 0;

  /** The sum of all that was added. */
  get total(): number {
    return this.#total;
  }

  /** Adds at the place that a node's labels name; a node without the label is no place. */
  add(key: string, labels: Readonly<Record<string, string>>, amount: number): void {
    const value = labels[key];
    if (value === undefined || amount === 0) return;
    let counts = this.#byKey.get(key);
    if (counts === undefined) {
      counts = new Map();
      this.#byKey.set(key, counts);
    }
    counts.set(value, (counts.get(value) ?? 0) + amount);
    this.#total += amount;
  }

  /** The sum at a node's place under one key. */
  at(key: string, labels: Readonly<Record<string, string>>): number {
    const value = labels[key];
    return value === undefined ? 0 : (this.#byKey.get(key)?.get(value) ?? 0);
  }

  /** The sums at a node's places under each key, together. */
  sumAt(labels: Readonly<Record<string, string>>): number {
    let sum = 0;
    for (const key of this.#byKey.keys()) sum += this.at(key, labels);
    return sum;
  }

  /** Whether anything stands at any of the node's places. */
  touches(labels: Readonly<Record<string, string>>): boolean {
    for (const key of this.#byKey.keys()) if (this.at(key, labels) > 0) return true;
    return false;
  }
}
