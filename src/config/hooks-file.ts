/**
 * Reads hooks files as NVIDIA mig-parted has them (api/hooks/v1/spec.go): commands to run around a change.
 *
 * NVIDIA's reader checks neither the version nor names; a misspelt hook is then never run. Here that is told, and a
 * version that is not known is refused.
 */
import type { Outcome, Place } from "../base/index.ts";
import { readFirstDocument } from "./documents.ts";
import { type FieldReader, fieldReader, outcome, readList, readObject, readString } from "./field-reader.ts";
import { type FieldPath, placesIn } from "./places.ts";
import { exactFields, type Field, structFields } from "./struct-fields.ts";

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

/**
 * Reads a hooks file; every mistake in it is reported. An empty file has no hooks, and one without a version is read as
 * `v1`.
 */
export function parseHooksFile(text: string, file: string): Outcome<HooksFile> {
  const { documents, findings } = readFirstDocument(text, file, placesIn(file));
  const [document] = documents;
  const hooks = new Map<HookName, readonly Hook[]>();
  if (document === undefined || document.value === null) return outcome(hooks, findings);
  const reader = fieldReader({ kind: "file", name: file }, document, findings);
  const fields = structFields(reader, [], document.value, { names: ["version", "hooks"] });
  checkVersion(reader, fields.get("version"));
  const field = fields.get("hooks");
  const named = field === undefined ? {} : exactFields(reader, field.path, field.value, { names: hookNames });
  for (const name of hookNames) {
    const path = [...(field?.path ?? []), name];
    const list = readList(reader, path, named?.[name]) ?? [];
    const commands = list.map((value, index) => readHook(reader, [...path, index], value));
    if (list.length > 0)
      hooks.set(
        name,
        commands.filter((one) => one !== undefined),
      );
  }
  return outcome(hooks, reader.findings);
}

function checkVersion(reader: FieldReader, field: Field | undefined): void {
  const version = field === undefined ? "" : (readText(reader, field.path, field.value) ?? "");
  if (field === undefined || version === "" || version === "v1") return;
  reader.report("unknown-version", reader.placeOf(field.path), `unknown version: ${version}`, "write `version: v1`");
}

function readHook(reader: FieldReader, path: FieldPath, value: unknown): Hook | undefined {
  const fields = structFields(reader, path, value, { names: hookFields });
  const read = <T>(name: string, as: (reader: FieldReader, path: FieldPath, value: unknown) => T): T => {
    const field = fields.get(name);
    return as(reader, field?.path ?? [...path, name], field?.value);
  };
  const command = read("command", readText) ?? "";
  const args = read("args", readTexts);
  const workdir = read("workdir", readText);
  const envs = read("envs", readEnvironment);
  if (command === "") {
    reader.report("missing-field", reader.placeOf(path), "missing required field: command", "name a program to run");
    return undefined;
  }
  return { command, args, envs, workdir: workdir === "" ? undefined : workdir, place: reader.placeOf(path) };
}

function readTexts(reader: FieldReader, path: FieldPath, value: unknown): readonly string[] {
  const list = readList(reader, path, value) ?? [];
  return list.map((one, index) => readText(reader, [...path, index], one) ?? "");
}

function readEnvironment(reader: FieldReader, path: FieldPath, value: unknown): Record<string, string> {
  const envs = readObject(reader, path, value) ?? {};
  return Object.fromEntries(
    Object.entries(envs).map(([name, text]) => [name, readText(reader, [...path, name], text) ?? ""]),
  );
}

/**
 * Text. Where NVIDIA's struct has a string, its reader makes text of numbers and truth values (sigs.k8s.io/yaml,
 * convertToJSONableObject); whole numbers that a double cannot hold must be quoted here.
 */
function readText(reader: FieldReader, path: FieldPath, value: unknown): string | undefined {
  const isPlain =
    typeof value === "boolean" || (typeof value === "number" && Math.abs(value) <= Number.MAX_SAFE_INTEGER);
  return readString(reader, path, isPlain ? String(value) : value);
}
