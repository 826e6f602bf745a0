/**
 * A layout as it is written down before a change, and the plan that leads back to it.
 *
 * A plan for counts chooses placements; the way back must not, so placements and the starts of compute instances are
 * recorded. The same places give the same MIG UUIDs again.
 */
import { type Finding, finding, type Place } from "../base/index.ts";
import type { Gpu, GpuInstance, MigProfile, Placement } from "../gpu/index.ts";
import { blockersOf, gpuBlockers, inUse } from "./blockers.ts";
import { type ComputeMove, computeMask, movesTo } from "./compute.ts";
import { modeRoute } from "./mode.ts";
import { unknownGeometry, unreadInstances } from "./plan.ts";
import { finishPlan, gpuSubject } from "./plan-draft.ts";
import type { Holders } from "./situation.ts";
import { destroyAll, type InstanceSteps, keepAll, plannedOf } from "./steps.ts";
import type { PartitionPlan, PlannedInstance, Step } from "./types.ts";

/** A GPU instance that stood. */
export interface RecordedInstance {
  readonly profile: string;
  readonly smiProfileId: number;
  readonly placement: Placement;
  readonly computeInstances: readonly { readonly profile: string; readonly start: number }[];
}

/** What stood on a GPU; plain values, fit for JSON. */
export interface RecordedLayout {
  readonly gpuUuid: string;
  readonly gpuIndex: number;
  readonly migEnabled: boolean;
  readonly instances: readonly RecordedInstance[];
}

/** What stands on `gpu` now. */
export function recordLayout(gpu: Gpu): RecordedLayout {
  const instances = gpu.instances.map(({ profile, placement, computeInstances }) => ({
    profile: profile.name,
    smiProfileId: profile.smiProfileId,
    placement,
    computeInstances: computeInstances.map((one) => ({ profile: one.profile, start: one.placement.start })),
  }));
  return { gpuUuid: gpu.uuid, gpuIndex: gpu.index, migEnabled: gpu.mig?.current ?? false, instances };
}

/** Whether a value that was read back is a layout, down to each compute instance. */
export function isRecordedLayout(value: unknown): value is RecordedLayout {
  if (!isRecord(value) || !Array.isArray(value["instances"])) return false;
  const { gpuUuid, gpuIndex, migEnabled, instances } = value;
  const known = typeof gpuUuid === "string" && typeof gpuIndex === "number" && typeof migEnabled === "boolean";
  return known && instances.every(isRecordedInstance);
}

function isRecordedInstance(value: unknown): boolean {
  if (!isRecord(value) || !isRecord(value["placement"]) || !Array.isArray(value["computeInstances"])) return false;
  const { profile, smiProfileId, placement, computeInstances } = value;
  const placed = typeof placement["start"] === "number" && typeof placement["size"] === "number";
  const devices = computeInstances.every(
    (one) => isRecord(one) && typeof one["profile"] === "string" && typeof one["start"] === "number",
  );
  return typeof profile === "string" && typeof smiProfileId === "number" && placed && devices;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `MIG off`, `MIG on, nothing cut`, or `3g.40gb@4, 1g.10gb@0`. */
export function recordedText({ migEnabled, instances }: RecordedLayout): string {
  if (!migEnabled) return "MIG off";
  if (instances.length === 0) return "MIG on, nothing cut";
  return instances.map(({ profile, placement }) => `${profile}@${placement.start}`).join(", ");
}

export interface PlanBackRequest {
  /** As the driver reports it now. */
  readonly gpu: Gpu;
  readonly before: RecordedLayout;
  readonly holders: Holders;
  readonly resettable?: boolean;
  /** Where `before` is written down. */
  readonly place: Place;
}

/**
 * Plans the way from what stands to exactly `before`. What is held and would have to go makes a plan without steps
 * that names the holders; so does a GPU that no longer has the profiles.
 */
export function planBack({ gpu, before, holders, resettable = true, place }: PlanBackRequest): PartitionPlan {
  const counts = Map.groupBy(
    before.instances.flatMap(({ computeInstances }) => computeInstances),
    ({ profile }) => profile,
  );
  const { uuid: gpuUuid, index: gpuIndex } = gpu;
  const { migEnabled } = before;
  const names = new Map([...counts].map(([name, some]) => [name, some.length]));
  const wanted = { gpuUuid, gpuIndex, migEnabled, counts: names, place };
  const stay = { gpu, wanted, parts: keepAll(gpu.instances) };
  if (gpu.mig === undefined) return finishPlan({ ...stay, complete: !migEnabled && before.instances.length === 0 });
  const unread = unreadInstances(gpu);
  if (unread !== undefined) return finishPlan({ ...stay, findings: [unread], complete: false });
  const unknown = before.instances.filter((one) => profileOf(gpu, one) === undefined);
  if (unknown.length > 0) return finishPlan({ ...stay, findings: [profileGone(gpu, unknown)], complete: false });
  const route = modeRoute(gpu, gpu.mig, { enabled: migEnabled, resettable });
  const parts = partsOf(gpu, before, route.kind);
  if (parts === undefined) {
    const findings = [unknownGeometry(gpu, "an instance stands, or stood, where none can")];
    return finishPlan({ ...stay, findings, complete: false });
  }
  const whole = route.kind !== "stays";
  const going = new Set([...parts.withdrawn, ...(whole ? [gpuUuid] : [])]);
  const blockers = whole ? gpuBlockers(gpu, holders) : blockersOf(gpu, devicesIn(gpu, going), holders);
  if (blockers.length > 0) {
    const findings = blockers.map((blocker) => inUse(gpu, blocker, "going back to the layout before would destroy it"));
    return finishPlan({ ...stay, blockers, findings, complete: false });
  }
  if (route.kind === "stays") return finishPlan({ gpu, wanted, parts, complete: true });
  const modeSteps = migEnabled ? { before: route.steps } : { after: route.steps };
  const needs = route.kind === "change" ? route.needs : "nothing";
  return finishPlan({ gpu, wanted, parts, ...modeSteps, needs, withdrawn: [gpuUuid], complete: needs !== "reboot" });
}

/**
 * With a change of mode nothing that stands stays, and what shall stand is created anew; `undefined` when there is no
 * way to the compute instances of before.
 */
function partsOf(gpu: Gpu, before: RecordedLayout, route: "stays" | "take-back" | "change"): InstanceSteps | undefined {
  if (!before.migEnabled) return destroyAll(gpu.instances);
  const standing = route === "change" ? [] : gpu.instances;
  const going = standing.filter((one) => before.instances.every((was) => !isAt(one, was)));
  const parts = going.map((one) => destroyAll([one]));
  for (const was of before.instances) {
    const profile = profileOf(gpu, was);
    if (profile === undefined) continue;
    const is = standing.find((one) => isAt(one, was));
    const moves = movesBetween(profile, is?.computeInstances ?? [], was);
    if (moves === undefined) return undefined;
    parts.push(is === undefined ? create(profile, was, moves) : recut(is, was, moves));
  }
  const steps = [
    ...parts.filter(({ created }) => created.length === 0),
    ...parts.filter(({ created }) => created.length > 0),
  ].flatMap((part) => part.steps);
  return {
    kept: parts.flatMap(({ kept }) => kept),
    destroyed: parts.flatMap(({ destroyed }) => destroyed),
    created: parts.flatMap(({ created }) => created),
    steps,
    withdrawn: parts.flatMap(({ withdrawn }) => withdrawn),
  };
}

function create(profile: MigProfile, was: RecordedInstance, moves: readonly ComputeMove[]): InstanceSteps {
  const planned = { profile, placement: was.placement, computeInstances: namesOf(was) };
  const made: Step = { kind: "create-gpu-instance", profile, instance: was.placement };
  const steps = [made, ...computeSteps(profile, was.placement, moves)];
  return { kept: [], destroyed: [], created: [planned], steps, withdrawn: [] };
}

function recut(is: GpuInstance, was: RecordedInstance, moves: readonly ComputeMove[]): InstanceSteps {
  const planned: PlannedInstance = { ...plannedOf(is), computeInstances: namesOf(was) };
  const steps = computeSteps(is.profile, is.placement, moves);
  const withdrawn = is.computeInstances.filter((one) =>
    steps.some(
      (step) =>
        step.kind === "destroy-compute-instance" &&
        step.name === one.profile &&
        step.computeStart === one.placement.start,
    ),
  );
  return { kept: [planned], destroyed: [], created: [], steps, withdrawn: withdrawn.map(({ uuid }) => uuid) };
}

function movesBetween(
  profile: MigProfile,
  is: GpuInstance["computeInstances"],
  was: RecordedInstance,
): readonly ComputeMove[] | undefined {
  const goal = was.computeInstances.map((one) => ({ profile: one.profile, placement: { start: one.start } }));
  const [from, to] = [computeMask(profile, is), computeMask(profile, goal)];
  return from === undefined || to === undefined ? undefined : movesTo(profile, from, to);
}

function computeSteps(profile: MigProfile, instance: Placement, moves: readonly ComputeMove[]): readonly Step[] {
  const nameOf = (kind: number): string => profile.computeInstanceProfiles[kind]?.name ?? profile.name;
  return moves.map((move) =>
    move.kind === "create"
      ? {
          kind: "create-compute-instance",
          name: nameOf(move.computeProfile),
          instance,
          computeStart: undefined,
        }
      : { kind: "destroy-compute-instance", name: nameOf(move.slot.kind), instance, computeStart: move.slot.start },
  );
}

/** The devices of `gpu` whose UUIDs are in `uuids`, as `blockersOf` wants them. */
function devicesIn(gpu: Gpu, uuids: ReadonlySet<string>): readonly { readonly device: { readonly uuid: string } }[] {
  return gpu.instances.flatMap(({ computeInstances }) =>
    computeInstances.filter(({ uuid }) => uuids.has(uuid)).map((device) => ({ device })),
  );
}

function isAt({ profile, placement }: GpuInstance, was: RecordedInstance): boolean {
  return profile.smiProfileId === was.smiProfileId && placement.start === was.placement.start;
}

function profileOf(gpu: Gpu, { smiProfileId, profile }: RecordedInstance): MigProfile | undefined {
  return gpu.profiles.find((one) => one.smiProfileId === smiProfileId && one.name === profile);
}

function namesOf({ computeInstances }: RecordedInstance): readonly string[] {
  return computeInstances.map(({ profile }) => profile);
}

function profileGone(gpu: Gpu, unknown: readonly RecordedInstance[]): Finding {
  const names = [...new Set(unknown.map(({ profile }) => profile))].join(", ");
  const message = `GPU ${gpu.index} (${gpu.name}) has no MIG profile ${names} any more`;
  const remedy = "the GPU or its driver was changed since; apply a config instead";
  return finding("mig-profile-unknown", gpuSubject(gpu), message, { remedy });
}
