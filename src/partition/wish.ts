/**
 * What a config entry asks of a GPU, as counts per profile, or why the GPU cannot have it.
 */
import { type Finding, finding } from "../base/index.ts";
import type { WantedMig } from "../config/index.ts";
import type { Gpu, MigGeometry } from "../gpu/index.ts";
import { bestChoice, isComplete } from "./choice.ts";
import { type DeviceCounts, situationOf } from "./situation.ts";
import { devicesAfter, instanceSteps } from "./steps.ts";
import { countsText } from "./text.ts";

export type Wish =
  | { readonly ok: true; readonly counts: DeviceCounts; readonly names: ReadonlyMap<string, number> }
  | { readonly ok: false; readonly findings: readonly Finding[] };

/** Reads `wanted` for a GPU of this geometry. What does not even fit on the GPU when it is empty is refused here. */
export function readWish(geometry: MigGeometry, gpu: Gpu, wanted: WantedMig): Wish {
  const counts = geometry.profiles.map(({ computeInstanceProfiles }) => computeInstanceProfiles.map(() => 0));
  const findings: Finding[] = [];
  for (const [name, count] of wanted.counts) {
    const found = findDevice(geometry, name);
    const own = found && counts[found.profile];
    if (own === undefined) findings.push(unknownProfile(geometry, gpu, { name, wanted }));
    else own[found?.kind ?? 0] = count;
  }
  if (findings.length > 0) return { ok: false, findings };
  const onEmpty = situationOf(geometry, [], counts);
  const choice = bestChoice(onEmpty, []);
  if (isComplete(onEmpty, choice)) return { ok: true, counts, names: wanted.counts };
  const fitting = devicesAfter(instanceSteps(onEmpty, choice));
  const place = wanted.place;
  const message = `${countsText(wanted.counts)} do not fit on GPU ${gpu.index} (${gpu.name}) together`;
  const remedy = `ask for less; ${countsText(fitting)} would fit`;
  return { ok: false, findings: [finding("mig-too-many-instances", subjectOf(gpu), message, { place, remedy })] };
}

function findDevice(geometry: MigGeometry, name: string): { profile: number; kind: number } | undefined {
  for (const [profile, { computeInstanceProfiles }] of geometry.profiles.entries()) {
    const kind = computeInstanceProfiles.findIndex((one) => one.name === name);
    if (kind >= 0) return { profile, kind };
  }
  return undefined;
}

function unknownProfile(
  { profiles }: MigGeometry,
  gpu: Gpu,
  { name, wanted }: { readonly name: string; readonly wanted: WantedMig },
): Finding {
  const width = name.slice(0, name.indexOf("."));
  const alike = profiles.filter((profile) => profile.name.startsWith(`${width}.`));
  const names = (alike.length > 0 ? alike : profiles).map((profile) => profile.name);
  return finding("mig-profile-unknown", subjectOf(gpu), `GPU ${gpu.index} (${gpu.name}) has no MIG profile ${name}`, {
    place: wanted.place,
    remedy: `use ${names.join(", ")}`,
  });
}

function subjectOf(gpu: Gpu): { readonly kind: "gpu"; readonly name: string } {
  return { kind: "gpu", name: `GPU ${gpu.index}` };
}
