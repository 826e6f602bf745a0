/**
 * From what stands on a GPU and what is wanted of it to a plan.
 *
 * A plan never destroys a device that a pod holds. Where such a device is in the way, the plan does what can be done
 * around it and names the pods it waits for; planning again when one of them has ended brings the rest.
 */
import { type Finding, finding } from "../base/index.ts";
import type { WantedMig } from "../config/index.ts";
import { type Gpu, layoutSpace, type MigMode } from "../gpu/index.ts";
import { gpuBlockers, inUse, podsText } from "./blockers.ts";
import { planLayout } from "./layout-plan.ts";
import { type ModeRoute, modeRoute } from "./mode.ts";
import { type Draft, finishPlan, gpuSubject } from "./plan-draft.ts";
import { geometryOf, type Holders, standingOf } from "./situation.ts";
import { destroyAll, keepAll } from "./steps.ts";
import type { Blocker, PartitionPlan } from "./types.ts";
import { readWish } from "./wish.ts";

export interface PlanRequest {
  /** As the driver reports it now. */
  readonly gpu: Gpu;
  readonly wanted: WantedMig;
  /** Replicas count as their device: keys are UUIDs without `::<n>`. */
  readonly holders: Holders;
  /** Whether the GPU can be reset while the node runs; often false for a GPU passed into a virtual machine. Default true. */
  readonly resettable?: boolean;
}

/** A GPU that can do MIG, with what stands in the way of changing it as a whole. */
interface Case {
  readonly gpu: Gpu;
  readonly wanted: WantedMig;
  readonly route: ModeRoute;
  readonly blockers: readonly Blocker[];
}

/** Plans the change of one GPU. A wish that cannot be met at all gives a plan without steps that says why. */
export function planGpu({ gpu, wanted, holders, resettable = true }: PlanRequest): PartitionPlan {
  const { mig } = gpu;
  if (mig === undefined) return withoutMig(gpu, wanted);
  const unread = unreadInstances(gpu);
  if (unread !== undefined) return refused(gpu, wanted, [unread]);
  const route = modeRoute(gpu, mig, { enabled: wanted.migEnabled, resettable });
  const change = { gpu, wanted, route, blockers: gpuBlockers(gpu, holders) };
  return wanted.migEnabled ? cut(change, mig, holders) : uncut(change);
}

/** MIG on, with the wanted devices. */
function cut(change: Case, mig: MigMode, holders: Holders): PartitionPlan {
  const { gpu, wanted, route, blockers } = change;
  const geometry = geometryOf(gpu);
  if (geometry === undefined)
    return refused(gpu, wanted, [
      unknownGeometry(gpu, "the catalogue has no such model, and its driver tells no places"),
    ]);
  const wish = readWish(geometry, gpu, wanted);
  if (!wish.ok) return refused(gpu, wanted, wish.findings);
  const standing = standingOf(layoutSpace(geometry), gpu);
  if (standing === undefined) return refused(gpu, wanted, [unknownGeometry(gpu, "an instance stands where none can")]);
  if (route.kind === "change") {
    if (blockers.length > 0) return waiting(change);
    const before = route.steps;
    if (route.needs === "reboot") return finishPlan(afterReboot(change, { before }));
    const layout = planLayout({ geometry, gpu, standing: [], holders: new Map() }, wish);
    return finishPlan({ ...layout, gpu, wanted, before, needs: route.needs, withdrawn: [gpu.uuid] });
  }
  const layout = planLayout({ geometry, gpu, standing, holders }, wish);
  if (route.kind === "stays") return finishPlan({ ...layout, gpu, wanted });
  if (blockers.length === 0) return finishPlan({ ...layout, gpu, wanted, before: route.steps });
  const findings = [...layout.findings, pendingMode(gpu, mig, blockers)];
  return finishPlan({ ...layout, gpu, wanted, blockers, findings, complete: false });
}

/** MIG off. Instances that are free stay as long as others are held, since the mode takes all away together. */
function uncut(change: Case): PartitionPlan {
  const { gpu, wanted, route, blockers } = change;
  if (route.kind === "stays") return finishPlan({ gpu, wanted, parts: keepAll(gpu.instances), complete: true });
  if (blockers.length > 0) return waiting(change);
  const parts = destroyAll(gpu.instances);
  if (route.kind === "take-back") return finishPlan({ gpu, wanted, parts, before: route.steps, complete: true });
  const after = route.steps;
  if (route.needs === "reboot") return finishPlan(afterReboot(change, { after }));
  return finishPlan({ gpu, wanted, parts, after, needs: route.needs, withdrawn: [gpu.uuid], complete: true });
}

/** Nothing is done as long as pods hold the GPU or a part of it. */
function waiting({ gpu, wanted, blockers, route }: Case): PartitionPlan {
  const verb = wanted.migEnabled ? "on" : "off";
  const purpose = route.kind === "take-back" ? `keeping MIG ${verb}` : `turning MIG ${verb}`;
  const findings = blockers.map((blocker) => inUse(gpu, blocker, `${purpose} needs the whole GPU idle`));
  const parts = keepAll(gpu.instances);
  return finishPlan({ gpu, wanted, parts, blockers, findings, complete: false });
}

/** Sets the mode if that is not done yet, and waits for the reboot that applies it. */
function afterReboot({ gpu, wanted }: Case, steps: Pick<Draft, "before" | "after">): Draft {
  const set = [...(steps.before ?? []), ...(steps.after ?? [])].length > 0;
  const parts = set && !wanted.migEnabled ? destroyAll(gpu.instances) : keepAll(gpu.instances);
  const message = `MIG ${wanted.migEnabled ? "on" : "off"} needs a reboot of the node, since the GPU cannot be reset`;
  const findings = [finding("mig-reboot-needed", gpuSubject(gpu), message, { remedy: "drain and reboot the node" })];
  return { ...steps, gpu, wanted, parts, findings, needs: "reboot", withdrawn: [gpu.uuid], complete: false };
}

function refused(gpu: Gpu, wanted: WantedMig, findings: readonly Finding[]): PartitionPlan {
  return finishPlan({ gpu, wanted, parts: keepAll(gpu.instances), findings, complete: false });
}

function withoutMig(gpu: Gpu, wanted: WantedMig): PartitionPlan {
  if (!wanted.migEnabled) return finishPlan({ gpu, wanted, parts: keepAll([]), complete: true });
  const message = `GPU ${gpu.index} (${gpu.name}) cannot do MIG`;
  const remedy = "leave its index out of the entry";
  return refused(gpu, wanted, [finding("mig-not-capable", gpuSubject(gpu), message, { place: wanted.place, remedy })]);
}

function pendingMode(gpu: Gpu, mode: MigMode, blockers: readonly Blocker[]): Finding {
  const pods = podsText([...new Set(blockers.flatMap((blocker) => blocker.pods))]);
  const message = `MIG ${mode.pending ? "on" : "off"} is pending for GPU ${gpu.index}; taking it back waits for ${pods}`;
  return finding("mig-mode-pending", gpuSubject(gpu), message, {
    remedy: "do not reset the GPU or reboot the node before it is taken back",
  });
}

/** What cannot be read must not be taken for nothing: a plan would then build over it. */
export function unreadInstances(gpu: Gpu): Finding | undefined {
  if (gpu.instancesUnread === undefined) return undefined;
  const message = `what stands on GPU ${gpu.index} cannot be read: ${gpu.instancesUnread}; nothing is changed`;
  return finding("mig-instances-unread", gpuSubject(gpu), message, {
    remedy: "run as root, or give access to /proc/driver/nvidia/capabilities/mig/monitor and mig/config",
  });
}

/** Nobody can plan for a GPU of which it is not known how it can be cut. */
export function unknownGeometry(gpu: Gpu, why: string): Finding {
  const message = `how GPU ${gpu.index} (${gpu.name}) can be cut is not known: ${why}`;
  return finding("mig-geometry-unknown", gpuSubject(gpu), message, {
    remedy: "cut it by hand with nvidia-smi, and report the model with the output of nvidia-smi mig -lgipp",
  });
}
