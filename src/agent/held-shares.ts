/**
 * What becomes of devices that pods hold when a config offers them otherwise: in fewer shares, whole, or under another
 * resource name.
 *
 * A GPU that is to have two shares instead of eight may have holders of any of the eight. Those ids stay on offer, in
 * place of ids that nobody holds: the kubelet would otherwise see free shares on a GPU that has holders enough, and only
 * the node's sum would hold pods back. Where an id cannot stay, as its resource name is gone, its pod takes a place.
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
    const held = heldIds(resource, allocations);
    const offered = before.find((one) => one.resource === resource)?.devices.map(({ id }) => id) ?? [];
    const preferred = Map.groupBy(new Set([...held, ...offered]), uuidOf);
    const devices = Map.groupBy(offer.devices, ({ uuid }) => uuid);
    return {
      ...offer,
      devices: [...devices].flatMap(([uuid, own]) => {
        const isShared = own.some(({ id }) => id !== uuid);
        // The id of a whole device among shares, or of a share of a device that is whole now, is for the pod that holds
        // it and no other. Among the shares of MPS it cannot be: a daemon tells shares by their ids.
        const mayStay = (id: string): boolean =>
          (id !== uuid) === isShared || (held.has(id) && !(isShared && offer.sharing === "mps"));
        return withIds(own, (preferred.get(uuid) ?? []).filter(mayStay));
      }),
    };
  });
}

/** The shares of one device with as many of the preferred ids as there is room for, the first ones first. */
function withIds(shares: readonly Device[], preferred: readonly string[]): readonly Device[] {
  const listed = new Set(shares.map(({ id }) => id));
  const ids = new Set([...preferred, ...listed].slice(0, listed.size));
  const others = [...ids].filter((id) => !listed.has(id)).values();
  return shares.map((share) => (ids.has(share.id) ? share : { ...share, id: others.next().value ?? share.id }));
}

/**
 * Devices of `offers` that no pod may get although nobody holds their ids, one for each pod that has the same GPU or MIG
 * device under an id or a resource name that is not on offer any more.
 */
export function takenDevices(offers: readonly Offer[], allocations: readonly Allocation[]): ReadonlySet<Device> {
  const holdings = allocations.flatMap(({ resource, deviceIds }) => deviceIds.map((id) => ({ resource, id })));
  const held = Map.groupBy(holdings, ({ id }) => uuidOf(id));
  const taken = offers.flatMap(({ resource, devices }) =>
    [...Map.groupBy(devices, ({ uuid }) => uuid)].flatMap(([uuid, own]) => {
      const holders = held.get(uuid) ?? [];
      const ids = new Set(own.map(({ id }) => id));
      const others = holders.filter((one) =>
        one.resource === resource ? !ids.has(one.id) : !offersDevice(offers, one.resource, uuid),
      );
      const free = own.filter(({ id }) => !holders.some((one) => one.resource === resource && one.id === id));
      return free.slice(Math.max(0, free.length - others.length));
    }),
  );
  return new Set(taken);
}

/** Tells of devices that pods hold under resource names under which the node does not offer them any more. */
export function heldElsewhere(
  offers: readonly Offer[],
  allocations: readonly Allocation[],
  node: string,
): readonly Finding[] {
  return offers.flatMap(({ resource, devices }) => {
    const uuids = new Set(devices.map(({ uuid }) => uuid));
    const others = allocations.filter((one) =>
      one.deviceIds.map(uuidOf).some((uuid) => uuids.has(uuid) && !offersDevice(offers, one.resource, uuid)),
    );
    if (others.length === 0) return [];
    const pods = [...new Set(others.map((one) => `${one.namespace}/${one.pod}`))].sort();
    const names = [...new Set(others.map((one) => one.resource))].sort().join(", ");
    const message = `devices of ${node} that are ${resource} now are held as ${names} by ${pods.join(", ")}; the pods run on, and their places go to no other pod until they end`;
    const remedy = "nothing, or end pods sooner";
    const evidence = { pods };
    return [finding("device-held-elsewhere", { kind: "resource", name: resource }, message, { remedy, evidence })];
  });
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

function offersDevice(offers: readonly Offer[], resource: string, uuid: string): boolean {
  return offers.some((one) => one.resource === resource && one.devices.some((device) => device.uuid === uuid));
}
