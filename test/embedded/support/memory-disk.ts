/** A disk for a journal that remembers all it ever held, and can be told to fail or to take its time. */
import type { JournalDisk } from "../../../src/embedded/api/journal-file.ts";

/** What a crash can leave: during `append` any beginning of `added` may be there. */
export interface DiskStep {
  readonly before: string;
  readonly added: string;
}

export class MemoryDisk implements JournalDisk {
  readonly steps: DiskStep[] = [];
  content = "";
  /** Thrown by every write while it is set. */
  fault: Error | undefined;
  /** Writes wait for it. */
  gate: Promise<void> = Promise.resolve();

  async append(text: string): Promise<void> {
    await this.gate;
    if (this.fault !== undefined) throw this.fault;
    this.steps.push({ before: this.content, added: text });
    this.content += text;
  }

  async replace(pieces: Iterable<string>): Promise<number> {
    await this.gate;
    if (this.fault !== undefined) throw this.fault;
    this.content = [...pieces].join("");
    this.steps.push({ before: this.content, added: "" });
    return this.content.length;
  }

  async close(): Promise<void> {}
}
