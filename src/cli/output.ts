/**
 * Where commands write: answers to standard output, progress and findings to standard error.
 */

export interface Output {
  /** One line or block of the answer. */
  answer(text: string): void;
  /** One line about what is going on. */
  progress(text: string): void;
}

/** The process's own streams. */
export const processOutput: Output = {
  answer: (text) => void process.stdout.write(`${text}\n`),
  progress: (text) => void process.stderr.write(`${text}\n`),
};
