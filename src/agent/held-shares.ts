/**
 * What becomes of shares that pods hold when a config offers fewer of them.
 *
 * A GPU that is to have two shares instead of eight may have holders of any of the eight. Those ids stay on offer, in
 * place of ids that nobody holds: the kubelet would otherwise see free shares on a GPU that has holders enough, and only
 * the node's sum would hold pods back.
 */
import { type Finding, finding } from "../base/index.ts";
import type { Allocation } from "../kubelet/index.ts";
import type { Device, Offer } from "../sharing/index.ts";
import { uuidOf } from "./holders.ts";

/**
 * The offers with held ids in place of free ones, as many devices as before. Where there is a choice, what was on offer
 * `before` stays so: the kubelet may be giving it to a pod right now.
 */
export function withHeldShares(
  offers: readonly Offer[],
  allocations: readonly Allocation[],
  before: readonly Offer[],
): readonly Offer[] {
  return offers.map((offer) => {
    const { resource } = offer;
    const offered = before.find((one) => one.resource === resource)?.devices.map(({ id }) => id) ?? [];
    const preferred = Map.groupBy(new Set([...heldIds(resource, allocations), ...offered]), uuidOf);
    const devices = Map.groupBy(offer.devices, ({ uuid }) => uuid);
    return { ...offer, devices: [...devices].flatMap(([uuid, own]) => withIds(own, preferred.get(uuid) ?? [])) };
  });
}

/** The shares of one device with as many of the preferred ids as there is room for, the first ones first. */
function withIds(shares: readonly Device[], preferred: readonly string[]): readonly Device[] {
  // A device that is not shared has its own id and no other.
  if (shares.some(({ id, uuid }) => id === uuid)) return shares;
  const listed = shares.map(({ id }) => id);
  const ids = new Set([...preferred.filter((id) => id !== uuidOf(id)), ...listed].slice(0, listed.length));
  const others = [...ids].filter((id) => !listed.includes(id));
  return shares.map((share) => (ids.has(share.id) ? share : { ...share, id: others.shift() ?? share.id }));
}

/** Resources of which pods hold more than there are now. */
export function overHeld(
  offers: readonly Offer[],
  allocations: readonly Allocation[],
  node: string,
): readonly Finding[] {
  return offers.flatMap(({ resource, devices }) => {
    const uuids = new Set(devices.map(({ uuid }) => uuid));
    const held = [...heldIds(resource, allocations)].filter((id) => uuids.has(uuidOf(id))).length;
    if (held <= devices.length) return [];
    const pods = allocations.filter((one) => one.resource === resource).map((one) => `${one.namespace}/${one.pod}`);
    const message = `pods of ${node} hold ${held} of ${resource}, and it has ${devices.length} now; they run on, and no other pod gets one until ${held - devices.length + 1} have ended`;
    const remedy = "nothing, or end pods sooner";
    const evidence = { held, offered: devices.length, pods: [...new Set(pods)].sort() };
    return [finding("shares-over-held", { kind: "resource", name: resource }, message, { remedy, evidence })];
  });
}

function heldIds(resource: string, allocations: readonly Allocation[]): ReadonlySet<string> {
  return new Set(allocations.filter((one) => one.resource === resource).flatMap(({ deviceIds }) => deviceIds));
}
