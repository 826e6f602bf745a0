/**
 * How two GPUs of a node are connected: over which ancestor on the PCI bus, and by how many direct NVLinks.
 */
import type { GpuLink } from "../driver.ts";
import { sysfsBusId } from "./facts.ts";
import { success } from "./return-codes.ts";
import type { OpenGpu, Session } from "./session.ts";
import { pciInfo } from "./structs.ts";

/** nvmlGpuTopologyLevel_t */
const ancestors: ReadonlyMap<number, GpuLink["ancestor"]> = new Map([
  [0, "internal"],
  [10, "single"],
  [20, "multiple"],
  [30, "hostbridge"],
  [40, "node"],
  [50, "system"],
]);

/** NVML_NVLINK_MAX_LINKS of the newest header; libraries refuse numbers beyond what they and the GPU have. */
const linkBound = 36;

export interface LinkQuestion {
  readonly gpu: OpenGpu;
  readonly other: OpenGpu;
  readonly otherBusId: string;
  /** Whether one of them is in MIG mode, which switches NVLink between GPUs off. */
  readonly migOn: boolean;
}

/** Links through an NVSwitch lead to the switch and are not direct. */
export function linkBetween(session: Session, { gpu, other, otherBusId, migOn }: LinkQuestion): GpuLink {
  const level = session.number("nvmlDeviceGetTopologyCommonAncestor", gpu.uuid, gpu.handle, other.handle);
  const ancestor = ancestors.get(level) ?? "system";
  return { ancestor, nvlinks: migOn ? 0 : directLinks(session, gpu, otherBusId) };
}

function directLinks(session: Session, gpu: OpenGpu, otherBusId: string): number {
  let links = 0;
  for (let link = 0; link < linkBound; link++) {
    const active = Buffer.alloc(4);
    if (session.try("nvmlDeviceGetNvLinkState", gpu.uuid, gpu.handle, link, active) !== success) break;
    if (active.readUInt32LE() !== 1) continue;
    const remote = pciInfo.allocate();
    const told = session.try("nvmlDeviceGetNvLinkRemotePciInfo_v2", gpu.uuid, gpu.handle, link, remote);
    if (told === success && sysfsBusId(pciInfo.text(remote, "busId")) === otherBusId) links += 1;
  }
  return links;
}
