/**
 * The journal's file: lines are appended, and at times all of it is replaced at once.
 */
import { constants } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/** Where a journal is kept. Calls come one at a time; each resolves when a power cut would not undo it. */
export interface JournalDisk {
  append(text: string): Promise<void>;
  /** Puts `pieces` in place of everything; when it fails, what was there stays. Answers how many bytes it has. */
  replace(pieces: Iterable<string>): Promise<number>;
  close(): Promise<void>;
}

/** A file of mode 0600; the text that replaces it is written to `<path>.new` first. */
export class JournalFile implements JournalDisk {
  readonly #path: string;
  #handle: FileHandle | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async append(text: string): Promise<void> {
    this.#handle ??= await open(this.#path, "a", 0o600);
    await this.#handle.writeFile(text);
    await this.#handle.datasync();
  }

  async replace(pieces: Iterable<string>): Promise<number> {
    const draft = `${this.#path}.new`;
    const { O_CREAT, O_EXCL, O_WRONLY, O_APPEND } = constants;
    await rm(draft, { force: true });
    // A file that somebody put there in the meantime is not written to: it could be readable for others.
    const handle = await open(draft, O_CREAT | O_EXCL | O_WRONLY | O_APPEND, 0o600);
    let bytes = 0;
    try {
      for (const piece of pieces) {
        await handle.writeFile(piece);
        bytes += Buffer.byteLength(piece);
      }
      await handle.sync();
      await rename(draft, this.#path);
    } catch (error) {
      await handle.close();
      await rm(draft, { force: true });
      throw error;
    }
    const old = this.#handle;
    this.#handle = handle;
    await old?.close();
    await syncDirectory(dirname(this.#path));
    return bytes;
  }

  async close(): Promise<void> {
    await this.#handle?.close();
    this.#handle = undefined;
  }
}

/** Makes a rename last. */
async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
