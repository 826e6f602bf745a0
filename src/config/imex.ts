/**
 * Reads `imex` of a device-plugin file, and what overrides it (NVIDIA k8s-device-plugin api/config/v1/imex.go).
 */
import { type Finding, finding } from "../base/index.ts";
import { type SettingLayers, saidOf, settingName } from "./effective-flags.ts";
import { type FieldReader, isInteger, mistyped, readBoolean, readList } from "./field-reader.ts";
import { type Field, structFields } from "./struct-fields.ts";
import { NO_TRUTH, truthOf } from "./truth.ts";
import type { ImexConfig } from "./types.ts";

/** No container has a channel. */
export const noImex: ImexConfig = { channelIds: [], required: false };

/** Reads `imex`; channels other than `[]` and `[0]` are a mistake. */
export function readImex(reader: FieldReader, field: Field): ImexConfig {
  const fields = structFields(reader, field.path, field.value, { names: ["channelIDs", "required"] });
  const required = fields.get("required");
  return {
    channelIds: readChannels(reader, fields.get("channelIDs")),
    required: (required !== undefined && readBoolean(reader, required.path, required.value)) || false,
  };
}

function readChannels(reader: FieldReader, channels: Field | undefined): readonly number[] {
  if (channels === undefined) return [];
  const ids = readList(reader, channels.path, channels.value) ?? [];
  for (const [index, id] of ids.entries()) {
    if (isInteger(id) || id === null) continue;
    mistyped(reader, [...channels.path, index], id, { type: "int", remedy: "write `[0]` or `[]`" });
    return [];
  }
  if (ids.length === 0) return [];
  if (ids.length === 1 && (ids[0] ?? 0) === 0) return [0];
  const message = `invalid IMEX config: channelIDs must be [] or [0]; found [${ids.join(" ")}]`;
  reader.report("bad-value", reader.placeOf(channels.path), message, "write `channelIDs: [0]` or remove it");
  return [];
}

/**
 * The channels that apply: options over the variables `IMEX_CHANNEL_IDS` and `IMEX_REQUIRED` over the file. One that
 * cannot be used is an error, and what the next one says counts.
 */
export function effectiveImex(
  file: ImexConfig | undefined,
  settings: SettingLayers,
): { readonly imex: ImexConfig; readonly findings: readonly Finding[] } {
  const findings: Finding[] = [];
  const merged = <T>(names: readonly string[], fromFile: T, parse: (text: string) => Parsed<T>): T => {
    for (const [name, text] of saidOf(settings, names)) {
      const parsed = parse(text.trim());
      if (parsed.ok) return parsed.value;
      const { reason, remedy } = parsed;
      const subject = { kind: "config", name: settingName(name) } as const;
      findings.push(finding("bad-environment", subject, `${name}="${text}": ${reason}`, { remedy }));
    }
    return fromFile;
  };
  const { channelIds, required } = file ?? noImex;
  const imex = {
    channelIds: merged(["--imex-channel-ids", "IMEX_CHANNEL_IDS"], channelIds, parseChannels),
    required: merged(["--imex-required", "IMEX_REQUIRED"], required, parseTruth),
  };
  return { imex, findings };
}

type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string; readonly remedy: string };

function parseChannels(text: string): Parsed<readonly number[]> {
  if (text === "") return { ok: true, value: [] };
  if (text === "0") return { ok: true, value: [0] };
  return { ok: false, reason: "channelIDs must be [] or [0]", remedy: "write 0, or unset it" };
}

function parseTruth(text: string): Parsed<boolean> {
  const value = truthOf(text);
  return value === undefined ? { ok: false, ...NO_TRUTH } : { ok: true, value };
}
