/**
 * Whether the GPUs of a node have the profiles a config asks for, in numbers that could fit at all.
 *
 * mig-parted clears the GPU before it notices a missing profile, and tries every order of creation before it
 * notices that too many are asked for. Here both are errors before anything is touched.
 */
import { type Finding, finding, type Subject } from "../base/index.ts";
import type { Gpu, MigProfile } from "../gpu/index.ts";
import { closestWords } from "./closest.ts";
import { deviceFilterOf } from "./device-filter.ts";
import { orList } from "./field-reader.ts";
import { parseMigProfileName } from "./mig-profile-name.ts";
import type { MigConfigEntry } from "./types.ts";

/** A GPU and the entry that decides on it. */
export interface Decision {
  readonly gpu: Gpu;
  readonly entry: MigConfigEntry;
}

export interface ProfileCheck {
  readonly findings: readonly Finding[];
  /** GPUs that cannot have what is asked for. */
  readonly refused: ReadonlySet<Gpu>;
}

/** One mistake, and the GPUs on which it shows. */
interface Mistake {
  readonly code: "mig-profile-unknown" | "mig-too-many-instances";
  readonly entry: MigConfigEntry;
  /** Canonical name of the profile concerned, `undefined` for all together. */
  readonly name: string | undefined;
  readonly what: string;
  readonly remedy: string;
}

/** Checks every GPU that an entry decides on; equal GPUs share a finding. */
export function profileFindings(subject: Subject, decisions: readonly Decision[]): ProfileCheck {
  const byMistake = new Map<string, { readonly mistake: Mistake; readonly gpus: Gpu[] }>();
  const refused = new Set<Gpu>();
  for (const decision of decisions) {
    for (const mistake of mistakes(decision, decisions)) {
      refused.add(decision.gpu);
      const key = JSON.stringify([decision.gpu.name, mistake.name, mistake.what, mistake.entry.place]);
      const known = byMistake.get(key) ?? { mistake, gpus: [] };
      known.gpus.push(decision.gpu);
      byMistake.set(key, known);
    }
  }
  const findings = [...byMistake.values()].map(({ mistake, gpus }) => mistakeFinding(subject, mistake, gpus));
  return { findings, refused };
}

function mistakeFinding(subject: Subject, mistake: Mistake, gpus: readonly Gpu[]): Finding {
  const where = `GPU ${gpus.map((gpu) => gpu.index).join(", ")} (${gpus[0]?.name})`;
  const path = mistake.name === undefined ? ["mig-devices"] : ["mig-devices", mistake.name];
  const message = mistake.what.replace("{gpu}", where);
  return finding(mistake.code, subject, message, { place: mistake.entry.placeOf(path), remedy: mistake.remedy });
}

function mistakes({ gpu, entry }: Decision, decisions: readonly Decision[]): readonly Mistake[] {
  const names = [...entry.migDevices].filter(([, count]) => count > 0).map(([name]) => name);
  const unknown = names.filter((name) => profileOf(gpu, name) === undefined);
  if (unknown.length > 0) return unknown.map((name) => unknownProfile({ gpu, entry }, name, decisions));
  return tooMany({ gpu, entry });
}

/** The GPU instance profile that a MIG device of this name needs. */
function profileOf(gpu: Gpu, name: string): MigProfile | undefined {
  return gpu.profiles.find(
    (profile) => profile.name === name || profile.computeInstanceProfiles.some((inner) => inner.name === name),
  );
}

function unknownProfile({ gpu, entry }: Decision, name: string, decisions: readonly Decision[]): Mistake {
  const owner = decisions.find((other) => profileOf(other.gpu, name) !== undefined);
  const narrow =
    owner === undefined
      ? ""
      : `; or add \`device-filter: "${deviceFilterOf(owner.gpu.pci)}"\` to reach only ${owner.gpu.name}`;
  const what = `MIG profile "${name}" not found on {gpu}`;
  return { code: "mig-profile-unknown", entry, name, what, remedy: `${profileAdvice(gpu, name)}${narrow}` };
}

function profileAdvice(gpu: Gpu, name: string): string {
  const known = gpu.profiles.map((profile) => profile.name);
  if (known.length === 0) return "the driver reports no MIG profiles for this GPU";
  const read = parseMigProfileName(name);
  const alike = gpu.profiles.filter(
    (profile) => read.ok && profile.computeSlices === read.name.gpuSlices && profile.attributes.length === 0,
  );
  if (alike.length > 0) return `use ${orList(alike.map((profile) => profile.name))}`;
  const close = closestWords(name, known);
  return `use ${orList(close.length > 0 ? close : known)}`;
}

/** Lower bounds only: they refuse nothing that some placement could hold. */
function tooMany({ gpu, entry }: Decision): readonly Mistake[] {
  const needs = gpu.profiles
    .map((profile) => ({ profile, instances: instancesNeeded(profile, entry.migDevices) }))
    .filter(({ instances }) => instances > 0);
  const over = needs.filter(({ profile, instances }) => instances > profile.maxInstances);
  if (over.length > 0) return over.map(({ profile }) => overMaximum(entry, profile));
  if (needs.length === 0) return [];
  const memory = sum(needs.map(({ profile, instances }) => profile.memorySlices * instances));
  const compute = sum(needs.map(({ profile, instances }) => profile.computeSlices * instances));
  const memoryTotal = Math.max(...gpu.profiles.map((profile) => profile.memorySlices));
  const computeTotal = Math.max(...gpu.profiles.map((profile) => profile.computeSlices));
  if (memory > memoryTotal) return [overTotal(entry, `${memory} memory slices`, `${memoryTotal}`)];
  if (compute > computeTotal) return [overTotal(entry, `${compute} compute slices`, `${computeTotal}`)];
  return [];
}

/** How many GPU instances of a profile the MIG devices cut from it take at least. */
function instancesNeeded(profile: MigProfile, wanted: ReadonlyMap<string, number>): number {
  let slices = 0;
  let whole = 0;
  let atLeast = 0;
  for (const [name, count] of wanted) {
    const inner = profile.computeInstanceProfiles.find((one) => one.name === name);
    if (name === profile.name) whole += count;
    else if (inner !== undefined) {
      slices += inner.computeSlices * count;
      atLeast = Math.max(atLeast, Math.ceil(count / inner.maxInstances));
    }
  }
  return whole + Math.max(atLeast, Math.ceil(slices / profile.computeSlices));
}

function overMaximum(entry: MigConfigEntry, profile: MigProfile): Mistake {
  const ofProfile = new Set([profile.name, ...profile.computeInstanceProfiles.map((inner) => inner.name)]);
  const asked = [...entry.migDevices].filter(([name, count]) => ofProfile.has(name) && count > 0);
  const text = asked.map(([name, count]) => `${count} × ${name}`).join(" + ");
  const most = profile.maxInstances === 1 ? "one instance" : `${profile.maxInstances} instances`;
  return {
    code: "mig-too-many-instances",
    entry,
    name: asked[0]?.[0],
    what: `${text} asked for, but {gpu} holds at most ${most} of ${profile.name}`,
    remedy: `ask for at most ${profile.maxInstances}`,
  };
}

function overTotal(entry: MigConfigEntry, needed: string, total: string): Mistake {
  return {
    code: "mig-too-many-instances",
    entry,
    name: undefined,
    what: `the devices take ${needed} together, but {gpu} has ${total}`,
    remedy: "ask for fewer or smaller devices",
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
