/**
 * What NVIDIA's daemons take and this agent does nothing about, told rather than dropped in silence.
 */
import { type Finding, finding } from "../../base/index.ts";

const NOT_DONE: Readonly<Record<string, string>> = {
  CDI_FEATURE_FLAGS: "the agent writes CDI specs itself, without NVIDIA's library",
};

/** A finding for each such setting that asks for something. */
export function withoutEffect(settings: ReadonlyMap<string, string>): readonly Finding[] {
  return Object.entries(NOT_DONE).flatMap(([variable, why]) => {
    const option = `--${variable.toLowerCase().replaceAll("_", "-")}`;
    const name = settings.has(option) ? option : variable;
    const value = settings.get(name);
    if (value === undefined || value === "" || value === "false") return [];
    const message = `${name}="${value}" has no effect: ${why}`;
    return [finding("setting-without-effect", { kind: "command", name }, message, { remedy: `leave out ${name}` })];
  });
}
