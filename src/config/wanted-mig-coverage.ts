/**
 * Which entries of a named config reach no GPU of a node, and which GPUs no entry reaches.
 *
 * mig-parted passes over all of this in silence.
 */
import { type Finding, finding, type Subject } from "../base/index.ts";
import type { Gpu } from "../gpu/index.ts";
import { deviceFilterOf, filtersMatch, parseDeviceFilter } from "./device-filter.ts";
import type { MigConfig, MigConfigEntry } from "./types.ts";

/** Indexes of `devices` beyond the node's GPUs, or given twice. */
export function indexFindings(subject: Subject, entry: MigConfigEntry, gpus: readonly Gpu[]): readonly Finding[] {
  const { devices } = entry;
  if (devices === "all") return [];
  return devices.flatMap((index, position) => {
    const twice = devices.indexOf(index) < position;
    if (!twice && gpus.some((gpu) => gpu.index === index)) return [];
    const message = twice ? `index ${index} is there twice` : `no GPU has index ${index}; the node has ${gpus.length}`;
    const place = entry.placeOf(["devices", position]);
    return [finding("mig-index-unused", subject, message, { place, remedy: `remove ${index} from \`devices\`` })];
  });
}

/**
 * Filters that match no GPU, and MIG-capable GPUs without an entry.
 *
 * A config for a whole fleet has entries for many models, as NVIDIA's `all-balanced` does: as long as every GPU has
 * its entry, the others are worth one line together. A GPU left out makes each unmatched filter suspicious.
 */
export function coverageFindings(
  subject: Subject,
  config: MigConfig,
  { gpus, covered }: { readonly gpus: readonly Gpu[]; readonly covered: ReadonlySet<Gpu> },
): readonly Finding[] {
  if (gpus.length === 0) return [];
  const unmatched = config.entries.filter((entry) => hasReadableFilter(entry) && !matchesAny(entry, gpus));
  const left = gpus.filter((gpu) => gpu.mig !== undefined && !covered.has(gpu));
  if (left.length > 0) {
    return [...unmatched.map((entry) => filterUnmatched(subject, entry, left)), uncovered(subject, config, left)];
  }
  return unmatched.length === 0 ? [] : [elsewhere(subject, unmatched)];
}

function matchesAny(entry: MigConfigEntry, gpus: readonly Gpu[]): boolean {
  return gpus.some((gpu) => filtersMatch(entry.deviceFilter, gpu.pci));
}

/** A filter that cannot be read is reported by the file's reader. */
function hasReadableFilter(entry: MigConfigEntry): boolean {
  return entry.deviceFilter.some((filter) => parseDeviceFilter(filter) !== undefined);
}

function filterUnmatched(subject: Subject, entry: MigConfigEntry, left: readonly Gpu[]): Finding {
  const filters = entry.deviceFilter.join(", ");
  return finding("mig-filter-unmatched", subject, `device-filter ${filters} matches no GPU of the node`, {
    place: entry.placeOf(["device-filter"]),
    remedy: `GPUs without an entry pass ${filtersOf(left)}`,
  });
}

function uncovered(subject: Subject, config: MigConfig, left: readonly Gpu[]): Finding {
  const indexes = left.map((gpu) => gpu.index).join(", ");
  const message = `no entry of "${config.name}" matches GPU ${indexes} (${left[0]?.name}); it stays as it is`;
  return finding("mig-gpu-uncovered", subject, message, {
    place: config.place,
    remedy: `add an entry with \`devices: [${indexes}]\` or \`device-filter: [${filtersOf(left)}]\``,
  });
}

function elsewhere(subject: Subject, unmatched: readonly MigConfigEntry[]): Finding {
  const [count, have] = [unmatched.length, unmatched.length === 1 ? "entry has filters" : "entries have filters"];
  const place = unmatched[0]?.placeOf(["device-filter"]);
  const evidence = { lines: unmatched.map((entry) => entry.place.line) };
  return finding("mig-entries-elsewhere", subject, `${count} ${have} that match no GPU of the node`, {
    place,
    evidence,
  });
}

function filtersOf(gpus: readonly Gpu[]): string {
  return [...new Set(gpus.map((gpu) => `"${deviceFilterOf(gpu.pci)}"`))].join(", ");
}
