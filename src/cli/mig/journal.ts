/**
 * The journal of changes on this machine: what stood before the last one, and what was under way when a process ended.
 *
 * It is written before the first step of a change and after its last; what stands in between is asked of the driver,
 * so a process can be killed at any moment and the next one knows what to repair.
 */
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { errorText, type Finding, finding, isErrno, type Outcome, type Place } from "../../base/index.ts";
import { isRecordedLayout, type RecordedLayout, recordedText } from "../../partition/index.ts";
import { writeWhole } from "../node/atomic-file.ts";
import { lockHolder, takeLock } from "../up/lock-file.ts";

const FILE = "mig-journal.json";
const LOCK = "mig.lock";
const VERSION = 1;

/** One change of one or more GPUs. */
export interface ChangeRecord {
  /** For people: `config all-1g.10gb`, `rollback`. */
  readonly what: string;
  /** RFC 3339. */
  readonly beganAt: string;
  /** Every GPU that the change is about, as it was before. */
  readonly before: readonly RecordedLayout[];
  /** The planned steps, in words, by GPU index. */
  readonly steps: readonly { readonly gpuIndex: number; readonly steps: readonly string[] }[];
}

export interface JournalContent {
  /** The last change that was carried out to its end. */
  readonly last?: ChangeRecord;
  /** One that began and neither ended nor was taken back. */
  readonly unfinished?: ChangeRecord;
}

/** The journal of a state directory. */
export class MigJournal {
  readonly path: string;
  #content: JournalContent;

  constructor(path: string, content: JournalContent) {
    this.path = path;
    this.#content = content;
  }

  get content(): JournalContent {
    return this.#content;
  }

  get place(): Place {
    return { file: this.path, line: 1, column: 1 };
  }

  /** Notes that a change begins. What stood before an unfinished one is what stays known as before. */
  begin(record: ChangeRecord): Promise<void> {
    const earlier = this.#content.unfinished?.before ?? [];
    const kept = record.before.filter(({ gpuUuid }) => earlier.every((one) => one.gpuUuid !== gpuUuid));
    return this.#write({ ...this.#content, unfinished: { ...record, before: [...earlier, ...kept] } });
  }

  /** Notes that the change that began has been carried out: `rollback` leads back to before it from now on. */
  done(): Promise<void> {
    const { unfinished } = this.#content;
    return this.#write(unfinished === undefined ? this.#content : { last: unfinished });
  }

  /** Notes that the GPUs are as they were before the change that began. */
  takenBack(): Promise<void> {
    const { last } = this.#content;
    return this.#write(last === undefined ? {} : { last });
  }

  async #write(content: JournalContent): Promise<void> {
    await writeWhole(this.path, `${JSON.stringify({ version: VERSION, ...content }, undefined, 2)}\n`);
    this.#content = content;
  }
}

/** A journal that no other process writes until it is released. */
export interface OpenJournal {
  readonly journal: MigJournal;
  release(): Promise<void>;
}

/** Opens the journal for a change; refused while another process changes GPUs. */
export async function openJournal(stateDir: string): Promise<Outcome<OpenJournal>> {
  const lock = join(stateDir, LOCK);
  try {
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    const taken = await takeLock(lock);
    if (taken.result === "held") return { ok: false, findings: [running(stateDir, taken.pid)] };
    if (taken.result === "foreign")
      return { ok: false, findings: [unusable(stateDir, `${lock} is of something else`)] };
  } catch (error) {
    return { ok: false, findings: [unusable(stateDir, errorText(error))] };
  }
  const release = (): Promise<void> => rm(lock, { force: true });
  const content = await readJournal(stateDir);
  if (!content.ok) {
    await release();
    return content;
  }
  const journal = new MigJournal(join(stateDir, FILE), content.value);
  return { ok: true, value: { journal, release }, findings: [] };
}

/** What the journal says, without taking it; empty when there is none. */
export async function readJournal(stateDir: string): Promise<Outcome<JournalContent>> {
  const path = join(stateDir, FILE);
  try {
    const value: unknown = JSON.parse(await readFile(path, "utf8"));
    if (isJournal(value)) return { ok: true, value, findings: [] };
    return { ok: false, findings: [unreadable(path, "it was written by another version")] };
  } catch (error) {
    if (isErrno(error, "ENOENT") || isErrno(error, "ENOTDIR")) return { ok: true, value: {}, findings: [] };
    return { ok: false, findings: [unreadable(path, errorText(error))] };
  }
}

/** For commands that change nothing: whether a change is under way or was broken off, and what it was. */
export async function journalFindings(stateDir: string): Promise<readonly Finding[]> {
  const read = await readJournal(stateDir);
  if (!read.ok) return read.findings;
  const { unfinished } = read.value;
  if (unfinished === undefined) return [];
  const pid = await lockHolder(join(stateDir, LOCK));
  return [pid === undefined ? brokenOff(unfinished) : running(stateDir, pid)];
}

/** Says what was broken off and what stood before. */
export function brokenOff({ what, beganAt, before, steps }: ChangeRecord): Finding {
  const planned = steps.map((one) => `GPU ${one.gpuIndex}: ${one.steps.join(", ")}`).join("; ");
  const stood = before.map((one) => `GPU ${one.gpuIndex}: ${recordedText(one)}`).join("; ");
  const message = `a change (${what}) that began at ${beganAt} was broken off; before it: ${stood}`;
  return finding("mig-change-unfinished", { kind: "node", name: "this node" }, message, {
    remedy: "finish it with `tranche mig apply`, or go back with `tranche mig rollback`",
    evidence: { planned, before },
  });
}

function isJournal(value: unknown): value is JournalContent {
  if (typeof value !== "object" || value === null || !("version" in value) || value.version !== VERSION) return false;
  const records = [...("last" in value ? [value.last] : []), ...("unfinished" in value ? [value.unfinished] : [])];
  return records.every(isRecord);
}

function isRecord(value: unknown): value is ChangeRecord {
  return (
    typeof value === "object" &&
    value !== null &&
    "what" in value &&
    typeof value.what === "string" &&
    "beganAt" in value &&
    typeof value.beganAt === "string" &&
    "before" in value &&
    Array.isArray(value.before) &&
    value.before.every(isRecordedLayout) &&
    "steps" in value &&
    Array.isArray(value.steps) &&
    value.steps.every(isStepList)
  );
}

function isStepList(value: unknown): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    "gpuIndex" in value &&
    typeof value.gpuIndex === "number" &&
    "steps" in value &&
    Array.isArray(value.steps)
  );
}

function running(stateDir: string, pid: number): Finding {
  const message = `process ${pid} is changing MIG layouts of this node`;
  return finding("mig-change-running", { kind: "file", name: stateDir }, message, {
    remedy: "wait until it has ended",
  });
}

function unusable(stateDir: string, why: string): Finding {
  return finding("state-dir-unusable", { kind: "file", name: stateDir }, `cannot use ${stateDir}: ${why}`, {
    remedy: "run as root, or choose a directory you may write with --state-dir",
  });
}

function unreadable(path: string, why: string): Finding {
  return finding("mig-journal-unreadable", { kind: "file", name: path }, `cannot read ${path}: ${why}`, {
    remedy: "look at what stands with `tranche gpus`, then move the file away",
  });
}
