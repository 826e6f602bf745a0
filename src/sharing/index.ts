/** What a node offers of its GPUs, which devices suit a container best, and what a container is given. */
export { type AllocateRequest, allocate } from "./allocate.ts";
export { type CdiSettings, controlNodes } from "./cdi-edits.ts";
export { sameSpecs, withKept } from "./cdi-keep.ts";
export { type CdiSpecs, type CdiSpecsRequest, cdiSpecs, isCdi, presentExtras } from "./cdi-specs.ts";
export {
  type CdiClass,
  type CdiDevice,
  type CdiEdits,
  type CdiExtra,
  type CdiSpec,
  cdiClasses,
  cdiDeviceName,
  cdiFileName,
  cdiKind,
  cdiName,
} from "./cdi-types.ts";
export { type HostFiles, imexChannelPath, noHostFiles } from "./host-files.ts";
export { isolationOf, isReplica } from "./isolation.ts";
export { linkScore } from "./link-score.ts";
export { mpsDirectory } from "./mps.ts";
export {
  MPS_SERVERS,
  type MpsDaemon,
  mpsDaemons,
  mpsLimitCommands,
  mpsProcessIds,
  mpsServerCommands,
  mpsShareLimits,
} from "./mps-daemons.ts";
export { type MigMinors, type NodeDevice, type NodeDevices, nodeDevices, parseMigMinors } from "./node-device.ts";
export { type NodeOffers, type OffersRequest, offers } from "./offers.ts";
export { firstMatch, gpuResource, migResource } from "./pattern.ts";
export { type PreferredAllocationRequest, preferredAllocation } from "./preferred.ts";
export { capacity, shareFindings } from "./shares.ts";
export type { AllocateAnswer, Device, Isolation, Offer, PairScore, SharingSettings } from "./types.ts";
