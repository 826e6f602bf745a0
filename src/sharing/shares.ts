/** What follows from who holds which devices, and how many there are. */
import { type Finding, finding } from "../base/index.ts";
import type { Device, Offer } from "./types.ts";

/** Resource name to the number of devices, as the node's capacity shows it. */
export function capacity(offers: readonly Offer[]): ReadonlyMap<string, number> {
  return new Map(offers.map(({ resource, devices }) => [resource, devices.length]));
}

/**
 * Says when a container holds several time slices of one device; `devices` are those of one container, of an offer with
 * this sharing.
 *
 * The container sees the device once, and its processes get one turn, whatever the number of shares. MPS shares add up:
 * two have twice the limits of one.
 */
export function shareFindings(pod: string, devices: readonly Device[], sharing: Offer["sharing"]): readonly Finding[] {
  if (sharing === "mps") return [];
  const findings: Finding[] = [];
  for (const [uuid, list] of Map.groupBy(devices, (device) => device.uuid)) {
    const [first] = list;
    if (first === undefined || list.length < 2) continue;
    const what = first.migProfile === undefined ? `GPU ${first.index}` : `MIG device ${first.index}`;
    findings.push(
      finding(
        "shares-of-one-gpu",
        { kind: "pod", name: pod },
        `pod ${pod} holds ${list.length} shares of ${what}; they are one device to it and give no more compute than one share`,
        {
          remedy: "ask for one share, so that others can have the rest",
          evidence: { uuid, ids: list.map(({ id }) => id) },
        },
      ),
    );
  }
  return findings;
}
