/**
 * Keeps the objects of a store on disk, so that the next run finds them.
 *
 * While some changes are on their way to the disk the next ones gather, and go together. Whoever must not promise what
 * could be lost waits for `written`. When the file has grown well beyond what the objects need, it is replaced by a new
 * one that holds only them.
 *
 * A disk that cannot be written to is told of, once, and the cluster lives on; the journal is written anew as a whole
 * as soon as that works again.
 */
import { readFile } from "node:fs/promises";
import { type Clock, errorText, type Finding, finding, type Outcome, TrancheError } from "../../base/index.ts";
import type { Change, Version } from "./collection.ts";
import { type JournalDisk, JournalFile } from "./journal-file.ts";
import { changeLine, headerLine, objectLine, readJournal } from "./journal-lines.ts";
import type { KeptState, Store } from "./store.ts";

export interface JournalOptions {
  readonly path: string;
  /** What was kept before, as `readKept` read it. */
  readonly kept: KeptState | undefined;
  readonly clock: Clock;
  /** Told when the disk cannot be written to, and when it can again. */
  tell(one: Finding): void;
  /** Default: a file at `path`. */
  readonly disk?: JournalDisk;
  /** How many bytes are appended at least before the file is replaced by a shorter one; default 4 MiB. */
  readonly smallestGrowth?: number;
}

const defaultGrowth = 4 * 1024 * 1024;
/** How many bytes may be appended for each byte of objects. */
const growthFactor = 2;
/** How often a disk that failed is tried again. */
const retryMs = 1_000;
/** How much of a new file is written at a time. */
const pieceLength = 1024 * 1024;

interface Batch {
  readonly lines: string[];
  readonly done: PromiseWithResolvers<void>;
}

export class Journal {
  readonly #options: JournalOptions;
  readonly #disk: JournalDisk;
  readonly #stop = new AbortController();
  #store: Store | undefined;
  #stopListening: (() => void) | undefined;
  #gathering: Batch | undefined;
  /** The last thing that is done with the disk; one at a time. */
  #turn: Promise<void> = Promise.resolve();
  #snapshotBytes = 0;
  #appendedBytes = 0;
  /** Why the file does not hold everything. */
  #fault: string | undefined;
  #recovery: Promise<void> | undefined;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#disk = options.disk ?? new JournalFile(options.path);
  }

  /** What was kept before. */
  get kept(): KeptState | undefined {
    return this.#options.kept;
  }

  /**
   * Begins with what the store holds, then follows it; the first of all listeners, since one that writes in turn would
   * bring changes out of order. Throws a `TrancheError` with code `journal-not-written` when the file cannot be written.
   */
  async follow(store: Store): Promise<void> {
    this.#store = store;
    this.#stopListening = store.listen((collection, change) => this.#gather(collection, change));
    try {
      await this.#inTurn(() => this.#replace());
    } catch (cause) {
      throw new TrancheError("journal-not-written", `cannot write ${this.#options.path}`, { cause });
    }
  }

  /** Resolves when every change made so far is on disk, or was told to be in danger. */
  written(): Promise<void> {
    return this.#gathering?.done.promise ?? this.#turn;
  }

  /** Writes what is left; everything is on disk then, or the answer says why not. */
  async close(): Promise<Finding | undefined> {
    this.#stop.abort();
    await this.#recovery;
    await this.written();
    this.#stopListening?.();
    if (this.#fault !== undefined) await this.#inTurn(() => this.#tryReplace());
    await this.#disk.close();
    return this.#fault === undefined ? undefined : this.#notWritten();
  }

  #gather(collection: string, change: Change): void {
    if (this.#gathering === undefined) {
      this.#gathering = { lines: [], done: Promise.withResolvers() };
      void this.#inTurn(() => this.#write());
    }
    this.#gathering.lines.push(changeLine(collection, change));
  }

  /** Writes what has gathered by the time the disk is free. Never rejects. */
  async #write(): Promise<void> {
    const batch = this.#take();
    if (batch === undefined) return;
    try {
      if (this.#fault !== undefined) return; // The whole is written when the disk is well again.
      if (this.#overgrown()) await this.#replace();
      else await this.#append(batch.lines);
    } catch (error) {
      this.#fail(error);
    } finally {
      batch.done.resolve();
    }
  }

  async #append(lines: readonly string[]): Promise<void> {
    const text = lines.join("");
    await this.#disk.append(text);
    this.#appendedBytes += Buffer.byteLength(text);
  }

  /** Writes a new file with what the store holds now; what had gathered is part of it. */
  async #replace(): Promise<void> {
    const batch = this.#take();
    try {
      this.#snapshotBytes = await this.#disk.replace(this.#store === undefined ? [] : snapshot(this.#store));
      this.#appendedBytes = 0;
      this.#fault = undefined;
    } finally {
      batch?.done.resolve();
    }
  }

  #overgrown(): boolean {
    const { smallestGrowth = defaultGrowth } = this.#options;
    return this.#appendedBytes > Math.max(smallestGrowth, growthFactor * this.#snapshotBytes);
  }

  #take(): Batch | undefined {
    const batch = this.#gathering;
    this.#gathering = undefined;
    return batch;
  }

  #fail(error: unknown): void {
    this.#fault = errorText(error);
    this.#options.tell(this.#notWritten());
    this.#recovery = this.#recover();
  }

  async #recover(): Promise<void> {
    const { clock, path, tell } = this.#options;
    while (this.#fault !== undefined) {
      try {
        await clock.sleep(retryMs, this.#stop.signal);
      } catch {
        return; // `close` tries once more.
      }
      await this.#inTurn(() => this.#tryReplace());
    }
    const message = `${path} holds everything again`;
    tell(finding("journal-caught-up", { kind: "file", name: path }, message));
  }

  async #tryReplace(): Promise<void> {
    try {
      await this.#replace();
    } catch (error) {
      this.#fault = errorText(error);
    }
  }

  #notWritten(): Finding {
    const { path } = this.#options;
    const message = `cannot write ${path}: ${this.#fault}; changes are kept in memory only`;
    const remedy = "make room or give access; it is tried again every second and at the end";
    return finding("journal-not-written", { kind: "file", name: path }, message, { remedy });
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {}); // Whoever asked is told.
    return turn;
  }
}

/** The text of a journal that holds the store as it is now, whenever the pieces are asked for. */
function snapshot(store: Store): Iterable<string> {
  const header = headerLine(store.revision, store.size);
  const versions = [...store.collections()].flatMap(([key, one]) =>
    one.list().map((version) => [key, version] as const),
  );
  return pieces(header, versions);
}

function* pieces(header: string, versions: readonly (readonly [string, Version])[]): Iterable<string> {
  let piece = header;
  for (const [key, version] of versions) {
    piece += objectLine(key, version);
    if (piece.length < pieceLength) continue;
    yield piece;
    piece = "";
  }
  yield piece;
}

/** What a journal at `path` holds; `undefined` where there is none. Nothing is changed on disk. */
export async function readKept(path: string): Promise<Outcome<KeptState | undefined>> {
  const subject = { kind: "file", name: path } as const;
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") {
      return { ok: true, value: undefined, findings: [] };
    }
    const remedy = "give access to it, or use another --state-dir";
    return failed(finding("state-dir-unusable", subject, `cannot read ${path}: ${errorText(error)}`, { remedy }));
  }
  const read = readJournal(text);
  switch (read.kind) {
    case "read": {
      const message = "the last change was cut off by the end of its process; it is left out";
      const cutOff = finding("journal-cut-off", subject, message, {
        remedy: "nothing: it had not been confirmed to anybody",
      });
      return { ok: true, value: read.state, findings: read.cutOff ? [cutOff] : [] };
    }
    case "damaged": {
      const { line, what } = read;
      const cut = `head -n ${line - 1} ${path} > FILE`;
      const remedy = `use another --state-dir, or keep what stands before that line: ${cut}, and put FILE in its place`;
      const place = { file: path, line, column: 1 };
      return failed(finding("journal-damaged", subject, `line ${line} cannot be trusted: ${what}`, { place, remedy }));
    }
    case "newer": {
      const message = `it was written by a later version of Tranche (format ${read.version})`;
      const remedy = "use that version, or another --state-dir";
      return failed(finding("journal-newer", subject, message, { place: { file: path, line: 1, column: 1 }, remedy }));
    }
    case "foreign": {
      const remedy = "use an empty directory, or one that does not exist yet, with --state-dir";
      return failed(finding("state-dir-unusable", subject, `${path} is a file of something else`, { remedy }));
    }
  }
}

function failed(one: Finding): { readonly ok: false; readonly findings: readonly Finding[] } {
  return { ok: false, findings: [one] };
}
