/**
 * The file through which Node Feature Discovery gets labels of a node (its `local` source).
 */
import { chmod, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** At most one file at a time; lives until `remove`. */
export class FeatureFile {
  #path: string | undefined;

  /** Makes `text` the content of the file at `path`, and of no other one. Throws what the system says. */
  async write(path: string, text: string): Promise<void> {
    if (this.#path !== path) await this.remove();
    this.#path = path;
    if ((await readFile(path, "utf8").catch(() => undefined)) === text) return;
    await mkdir(dirname(path), { recursive: true });
    // Node Feature Discovery passes over names that begin with a dot.
    const draft = join(dirname(path), `.${basename(path)}.draft`);
    try {
      await writeFile(draft, text);
      // Not by the mode of the write, which the process's umask narrows.
      await chmod(draft, 0o644);
      await rename(draft, path);
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
  }

  /** Takes the file away, if one was written: its labels go with it. Throws what the system says. */
  async remove(): Promise<void> {
    if (this.#path !== undefined) await rm(this.#path, { force: true });
    this.#path = undefined;
  }
}
