/**
 * Where commands write: answers to standard output, progress and findings to standard error.
 */
import { isErrno } from "../base/index.ts";
import { processTerminal, type Terminal } from "./terminal.ts";

export interface Output {
  /** One line or block of the answer. */
  answer(text: string): void;
  /** One line about what is going on. */
  progress(text: string): void;
  /** The terminal that answers and progress go to, to draw on; `undefined` where one of them goes elsewhere. */
  terminal?(): Terminal | undefined;
}

/** The process's own streams. */
export const processOutput: Output = {
  answer: (text) => void process.stdout.write(`${text}\n`),
  progress: (text) => void process.stderr.write(`${text}\n`),
  terminal: () => (process.stderr.isTTY ? processTerminal() : undefined),
};

/**
 * Calls `onGone` when nobody reads the process's output any more, as after `| head` or when its terminal is closed. Other
 * programs end by SIGPIPE then; Node ignores that signal, and without this would end with a stack trace.
 */
export function watchReaders(onGone: () => void): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error) => {
      if (!isErrno(error, "EPIPE") && !isErrno(error, "EIO")) throw error;
      onGone();
    });
  }
}
