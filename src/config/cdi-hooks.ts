/**
 * Reads which CDI hooks are left out: the option `--cdi-disable-hooks` of NVIDIA's device plugin, which has no field in
 * its file (k8s-device-plugin cmd/nvidia-device-plugin/main.go, nvidia-container-toolkit pkg/nvcdi/hooks.go).
 */
import { type Finding, finding } from "../base/index.ts";
import { settingName } from "./effective-flags.ts";
import { orList } from "./field-reader.ts";

/** The hooks that can be left out; the last two are never in a spec of the device plugin. */
const hookNames: readonly string[] = [
  "create-symlinks",
  "update-ldcache",
  "enable-cuda-compat",
  "disable-device-node-modification",
  "update-application-profile",
  "chmod",
];

/** The hooks to leave out; an unknown name, at which NVIDIA's plugin exits, is told and passed over. */
export function disabledCdiHooks(settings: ReadonlyMap<string, string>): {
  readonly hooks: ReadonlySet<string>;
  readonly findings: readonly Finding[];
} {
  const name = ["--cdi-disable-hooks", "CDI_DISABLE_HOOKS"].find((one) => settings.has(one));
  const text = name === undefined ? "" : (settings.get(name) ?? "");
  const words = text.split(",").flatMap((one) => (one.trim() === "" ? [] : [one.trim()]));
  const hooks = new Set(words.includes("all") ? hookNames : words.filter((one) => hookNames.includes(one)));
  const unknown = words.filter((one) => one !== "all" && !hookNames.includes(one));
  if (name === undefined || unknown.length === 0) return { hooks, findings: [] };
  const subject = { kind: "config", name: settingName(name) } as const;
  const message = `${name}="${text}": unknown CDI hook: ${unknown.join(", ")}`;
  const remedy = `use ${orList([...hookNames, "all"])}, several with commas`;
  return { hooks, findings: [finding("bad-environment", subject, message, { remedy })] };
}
