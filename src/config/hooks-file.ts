/**
 * Reads hooks files as NVIDIA mig-parted has them (api/hooks/v1/spec.go): commands to run around a change.
 *
 * NVIDIA's reader checks neither the version nor names; a misspelt hook is then never run. Here both are told.
 */
import type { Outcome, Place } from "../base/index.ts";
import { readFirstDocument } from "./documents.ts";
import {
  type FieldReader,
  fieldReader,
  isObject,
  outcome,
  readList,
  readObject,
  readString,
  suggestion,
} from "./field-reader.ts";
import { type FieldPath, placesIn } from "./places.ts";

/** When a hook runs: always first, before modes change, before instances change, always last. */
export const hookNames = ["apply-start", "pre-apply-mode", "pre-apply-config", "apply-exit"] as const;
export type HookName = (typeof hookNames)[number];

/** One command of a hook. */
export interface Hook {
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment beside what the caller adds; nothing is inherited. */
  readonly envs: Readonly<Record<string, string>>;
  /** `undefined`: the working directory of the caller. */
  readonly workdir: string | undefined;
  readonly place: Place;
}

/** The commands of each hook, in order. */
export type HooksFile = ReadonlyMap<HookName, readonly Hook[]>;

const hookFields = ["workdir", "command", "args", "envs"];

/** Reads a hooks file; every mistake in it is reported. An empty file has no hooks. */
export function parseHooksFile(text: string, file: string): Outcome<HooksFile> {
  const { documents, findings } = readFirstDocument(text, file, placesIn(file));
  const [document] = documents;
  const hooks = new Map<HookName, readonly Hook[]>();
  if (document === undefined || document.value === null) return outcome(hooks, findings);
  const reader = fieldReader({ kind: "file", name: file }, document, findings);
  const spec = readObject(reader, [], document.value) ?? {};
  const version = readString(reader, ["version"], spec["version"]) ?? "";
  if (version !== "v1") {
    const remedy = "write `version: v1` at the top level";
    reader.report("unknown-version", reader.placeOf(["version"]), `unknown version: ${version}`, remedy);
  }
  reportUnknown(reader, [], { keys: Object.keys(spec), known: ["version", "hooks"] });
  const named = readObject(reader, ["hooks"], spec["hooks"]) ?? {};
  reportUnknown(reader, ["hooks"], { keys: Object.keys(named), known: hookNames });
  for (const name of hookNames) {
    const list = readList(reader, ["hooks", name], named[name]) ?? [];
    const commands = list.map((value, index) => readHook(reader, ["hooks", name, index], value));
    if (list.length > 0)
      hooks.set(
        name,
        commands.filter((one) => one !== undefined),
      );
  }
  return outcome(hooks, reader.findings);
}

function readHook(reader: FieldReader, path: FieldPath, value: unknown): Hook | undefined {
  const hook = readObject(reader, path, value) ?? {};
  reportUnknown(reader, path, { keys: Object.keys(hook), known: hookFields });
  const command = readString(reader, [...path, "command"], hook["command"]) ?? "";
  const args = (readList(reader, [...path, "args"], hook["args"]) ?? []).map(
    (one, index) => readString(reader, [...path, "args", index], one) ?? "",
  );
  const workdir = readString(reader, [...path, "workdir"], hook["workdir"]);
  const envs = readEnvironment(reader, [...path, "envs"], hook["envs"]);
  if (command === "") {
    reader.report("missing-field", reader.placeOf(path), "missing required field: command", "name a program to run");
    return undefined;
  }
  return { command, args, envs, workdir: workdir === "" ? undefined : workdir, place: reader.placeOf(path) };
}

function readEnvironment(reader: FieldReader, path: FieldPath, value: unknown): Record<string, string> {
  const envs = readObject(reader, path, value);
  if (!isObject(envs)) return {};
  return Object.fromEntries(
    Object.entries(envs).map(([name, text]) => [name, readString(reader, [...path, name], text) ?? ""]),
  );
}

function reportUnknown(
  reader: FieldReader,
  path: FieldPath,
  { keys, known }: { readonly keys: readonly string[]; readonly known: readonly string[] },
): void {
  for (const key of keys) {
    if (known.includes(key)) continue;
    const place = reader.keyPlaceOf([...path, key]);
    reader.report("unexpected-field", place, `unexpected field: ${key}`, suggestion(key, known));
  }
}
