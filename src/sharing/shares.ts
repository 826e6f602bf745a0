/** What follows from who holds which devices, and how many there are. */
import { type Finding, finding } from "../base/index.ts";
import type { Device, Offer } from "./types.ts";

/** Resource name to the number of devices, as the node's capacity shows it. */
export function capacity(offers: readonly Offer[]): ReadonlyMap<string, number> {
  return new Map(offers.map(({ resource, devices }) => [resource, devices.length]));
}

/**
 * Says when a container holds several shares of one device; `devices` are those of one container.
 *
 * Time slices and MPS shares alike: the container sees the device once, and its processes get one turn, or one
 * client's limit, whatever the number of shares.
 */
export function shareFindings(pod: string, devices: readonly Device[]): readonly Finding[] {
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
