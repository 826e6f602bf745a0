/** One line of the benchmark table. */
export interface BenchRow {
  readonly name: string;
  /** The aim in words, for example `at most 1.2 times the echo`. */
  readonly aim: string;
  /** Measures; `small` keeps a run under about two seconds, `full` takes enough samples to quote. */
  run(mode: "small" | "full"): Promise<BenchResult>;
}

export interface BenchResult {
  /** The measured figure with its unit, for example `12.3 µs`. */
  readonly figure: string;
  readonly met: boolean;
  /** What helps to read the figure: sample count, spread, the figure compared with. */
  readonly note?: string;
}
