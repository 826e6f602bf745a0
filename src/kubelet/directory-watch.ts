/**
 * Notices files that come and go in the device plugin directory.
 */
import { type FSWatcher, watch } from "node:fs";
import type { Logger } from "../base/index.ts";
import { fileIdentity } from "./socket.ts";

/**
 * A watch on one directory that survives the directory's replacement.
 *
 * It only hints: events can be lost (the node's inotify instances may be used up), so whoever uses it also looks by itself
 * from time to time, and calls `arm` then.
 */
export class DirectoryWatch {
  readonly #directory: string;
  readonly #onChange: (name: string | null) => void;
  readonly #log: Logger;
  #watcher: FSWatcher | undefined;
  #identity: string | undefined;
  #failed = false;

  constructor(directory: string, onChange: (name: string | null) => void, log: Logger) {
    this.#directory = directory;
    this.#onChange = onChange;
    this.#log = log;
  }

  /** Whether it watches a directory, be it still the one at the path or not. */
  get armed(): boolean {
    return this.#watcher !== undefined;
  }

  /** Watches, if it does not yet or if the directory is another one than it watches. */
  async arm(): Promise<void> {
    const identity = await fileIdentity(this.#directory);
    if (this.#watcher !== undefined && identity === this.#identity) return;
    this.close();
    if (identity === undefined) return;
    try {
      const watcher = watch(this.#directory, (_event, name) => this.#onChange(name));
      watcher.on("error", (error) => this.#fail(error));
      this.#watcher = watcher;
      this.#identity = identity;
      this.#failed = false;
    } catch (error) {
      this.#fail(error);
    }
  }

  close(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  #fail(error: unknown): void {
    this.close();
    if (this.#failed) return;
    this.#failed = true;
    this.#log.warn({ directory: this.#directory, error }, "directory cannot be watched, looking at intervals instead");
  }
}
