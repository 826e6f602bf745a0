/**
 * What a named config wants of each GPU of a node: the entry walk of NVIDIA mig-parted
 * (cmd/nvidia-mig-parted/assert/assert.go, WalkSelectedMigConfigForEachGPU).
 *
 * NVIDIA carries out every matching entry in file order; the result is that of the last one, so only that one is
 * kept. Whether a layout with these counts exists is for the planner of partitions to say.
 */
import { type Finding, finding, type Subject } from "../base/index.ts";
import type { Gpu } from "../gpu/index.ts";
import { filtersMatch } from "./device-filter.ts";
import type { MigConfig, MigConfigEntry, WantedMig } from "./types.ts";
import { coverageFindings, indexFindings } from "./wanted-mig-coverage.ts";
import { type Decision, profileFindings } from "./wanted-mig-profiles.ts";

export interface WantedMigResult {
  /** One for each GPU that an entry decides on; GPUs left as they are have none. */
  readonly wanted: readonly WantedMig[];
  readonly findings: readonly Finding[];
}

/**
 * Walks the entries over the GPUs of a node. A GPU about which an error is found has no wanted state: it is left as
 * it is, while NVIDIA's MIG manager would clear it first.
 */
export function wantedMig(config: MigConfig, gpus: readonly Gpu[]): WantedMigResult {
  const subject: Subject = { kind: "config", name: config.name };
  const findings: Finding[] = config.entries.flatMap((entry) => indexFindings(subject, entry, gpus));
  const decisions: Decision[] = [];
  const covered = new Set<Gpu>();
  for (const gpu of gpus) {
    const matching = config.entries.filter((entry) => reaches(entry, gpu));
    if (matching.length > 0) covered.add(gpu);
    const decided = decide(subject, gpu, matching);
    findings.push(...decided.findings);
    if (decided.entry !== undefined) decisions.push({ gpu, entry: decided.entry });
  }
  findings.push(...coverageFindings(subject, config, { gpus, covered }));
  const checked = profileFindings(subject, decisions);
  findings.push(...checked.findings);
  const wanted = decisions.filter(({ gpu }) => !checked.refused.has(gpu)).map(wantedOf);
  return { wanted, findings };
}

function reaches(entry: MigConfigEntry, gpu: Gpu): boolean {
  if (!filtersMatch(entry.deviceFilter, gpu.pci)) return false;
  if (entry.devices !== "all") return entry.devices.includes(gpu.index);
  // `all` with MIG on passes over GPUs that cannot do MIG; naming one by its index is a mistake.
  return gpu.mig !== undefined || !entry.migEnabled;
}

function decide(
  subject: Subject,
  gpu: Gpu,
  matching: readonly MigConfigEntry[],
): { readonly entry: MigConfigEntry | undefined; readonly findings: readonly Finding[] } {
  const last = matching.at(-1);
  if (last === undefined) return { entry: undefined, findings: [] };
  if (gpu.mig === undefined) {
    return { entry: undefined, findings: matching.filter((entry) => entry.migEnabled).map(notCapable(subject, gpu)) };
  }
  const opposite = matching.find((entry) => entry.migEnabled !== last.migEnabled);
  if (opposite !== undefined) return { entry: undefined, findings: [modeConflict(subject, gpu, { opposite, last })] };
  const overridden = matching.slice(0, -1).filter((entry) => !sameDevices(entry, last));
  return { entry: last, findings: overridden.map((entry) => entryOverridden(subject, gpu, { entry, last })) };
}

function notCapable(subject: Subject, gpu: Gpu): (entry: MigConfigEntry) => Finding {
  return (entry) =>
    finding("mig-not-capable", subject, `cannot set MIG mode on non MIG-capable GPU ${gpu.index} (${gpu.name})`, {
      place: entry.placeOf(["devices"]),
      remedy: `remove index ${gpu.index} from the entry, or use \`devices: all\`, which passes over such GPUs`,
    });
}

function modeConflict(
  subject: Subject,
  gpu: Gpu,
  { opposite, last }: { readonly opposite: MigConfigEntry; readonly last: MigConfigEntry },
): Finding {
  const message = `entries disagree on mig-enabled for GPU ${gpu.index}: ${opposite.migEnabled} in line ${opposite.place.line}, ${last.migEnabled} here`;
  return finding("mig-mode-conflict", subject, message, {
    place: last.placeOf(["mig-enabled"]),
    remedy: "give each entry its own `devices` or `device-filter`",
  });
}

function entryOverridden(
  subject: Subject,
  gpu: Gpu,
  { entry, last }: { readonly entry: MigConfigEntry; readonly last: MigConfigEntry },
): Finding {
  return finding("mig-entry-overridden", subject, `the entry in line ${last.place.line} decides on GPU ${gpu.index}`, {
    place: entry.place,
    remedy: "give each entry its own `devices` or `device-filter`",
  });
}

function sameDevices(a: MigConfigEntry, b: MigConfigEntry): boolean {
  const [left, right] = [nonZero(a), nonZero(b)];
  return left.size === right.size && [...left].every(([name, count]) => right.get(name) === count);
}

function wantedOf({ gpu, entry }: Decision): WantedMig {
  return {
    gpuUuid: gpu.uuid,
    gpuIndex: gpu.index,
    migEnabled: entry.migEnabled,
    counts: nonZero(entry),
    place: entry.place,
  };
}

function nonZero(entry: MigConfigEntry): ReadonlyMap<string, number> {
  return new Map([...entry.migDevices].filter(([, count]) => count > 0));
}
