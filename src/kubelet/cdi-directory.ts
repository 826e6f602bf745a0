/**
 * The device plugin's CDI specs in the directory where container runtimes look for them: on a node `/var/run/cdi`, for
 * specs that come and go with the machine's boot (CDI SPEC.md).
 *
 * Others have files there too, and none but those of the device plugin's own kinds is ever written or removed.
 */
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type CdiClass, type CdiSpec, type CdiSpecs, cdiClasses, cdiFileName } from "../sharing/index.ts";
import { parseCdiSpec } from "./cdi-parse.ts";

/** The specs that stand in one directory. */
export class CdiDirectory {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** The device plugin's specs as they stand now; a file that is none is left out. Never rejects. */
  async read(): Promise<CdiSpecs> {
    const names = new Set(await readdir(this.path).catch(() => []));
    const specs = new Map<CdiClass, CdiSpec>();
    for (const one of cdiClasses) {
      if (!names.has(cdiFileName(one))) continue;
      const text = await readFile(this.#file(one), "utf8").catch(() => "");
      const found = parseCdiSpec(text);
      if (found !== undefined) specs.set(one, found);
    }
    return specs;
  }

  /** Makes `specs` all that the device plugin has there, each file in one step. Throws what the system says. */
  async write(specs: CdiSpecs): Promise<void> {
    for (const one of cdiClasses) {
      const wanted = specs.get(one);
      if (wanted === undefined) await rm(this.#file(one), { force: true });
      else await this.#writeFile(one, `${JSON.stringify(wanted, undefined, 2)}\n`);
    }
  }

  /** A runtime that reads meanwhile sees the old file or the new one; it passes over names that end in `.tmp`. */
  async #writeFile(cdiClass: CdiClass, text: string): Promise<void> {
    const file = this.#file(cdiClass);
    if ((await readFile(file, "utf8").catch(() => undefined)) === text) return;
    await mkdir(this.path, { recursive: true, mode: 0o755 });
    const draft = join(this.path, `spec.${cdiFileName(cdiClass)}.tmp`);
    try {
      await writeFile(draft, text);
      // Not by the mode of the write, which the process's umask narrows.
      await chmod(draft, 0o644);
      await rename(draft, file);
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
  }

  #file(cdiClass: CdiClass): string {
    return join(this.path, cdiFileName(cdiClass));
  }
}
