/**
 * What stays in CDI specs although it is offered no more: the devices that containers still hold.
 *
 * A runtime resolves the names again whenever a container starts, and the kubelet asks nobody before it restarts one.
 * So a device that a pod holds must stay described, under the name that the pod was given, until the pod is gone.
 */
import { type CdiSpecs, spec } from "./cdi-specs.ts";
import { type CdiClass, type CdiSpec, cdiClasses } from "./cdi-types.ts";

/** `wanted`, and of `present` what is not in it and `keeps`. */
export function withKept(
  wanted: CdiSpecs,
  present: CdiSpecs,
  keeps: (cdiClass: CdiClass, name: string) => boolean,
): CdiSpecs {
  const specs = new Map<CdiClass, CdiSpec>();
  for (const one of cdiClasses) {
    const [next, before] = [wanted.get(one), present.get(one)];
    const names = new Set(next?.devices.map(({ name }) => name));
    const kept = (before?.devices ?? []).filter(({ name }) => !names.has(name) && keeps(one, name));
    const devices = [...(next?.devices ?? []), ...kept];
    if (devices.length > 0) specs.set(one, spec(one, devices, (next ?? before)?.containerEdits ?? {}));
  }
  return specs;
}

/** Whether both have the same specs; the order of keys counts, since it is always the same. */
export function sameSpecs(some: CdiSpecs, others: CdiSpecs): boolean {
  return cdiClasses.every((one) => JSON.stringify(some.get(one)) === JSON.stringify(others.get(one)));
}
