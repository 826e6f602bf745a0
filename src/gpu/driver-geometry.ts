/**
 * What a driver of a given version can cut a model into, by the catalogue: older drivers know fewer models and profiles.
 */
import { driverAtLeast } from "./driver-version.ts";
import { geometryWith } from "./geometry-layouts.ts";
import type { GpuModel, MigGeometry, MigProfile } from "./model.ts";

/** The geometry with the profiles that the driver knows; `undefined` when it cannot do MIG on this model. */
export function geometryOfDriver(model: GpuModel, driverVersion: string): MigGeometry | undefined {
  const { mig, minDriverForMig } = model;
  if (mig === undefined || (minDriverForMig !== undefined && !driverAtLeast(driverVersion, minDriverForMig))) {
    return undefined;
  }
  const known = (since: string | undefined): boolean => since === undefined || driverAtLeast(driverVersion, since);
  if (mig.profiles.every(({ sinceDriver }) => known(sinceDriver))) return mig;
  return geometryWith(mig, ({ sinceDriver }) => known(sinceDriver));
}

/** The profiles of that geometry; none when the driver cannot do MIG on this model. */
export function profilesOfDriver(model: GpuModel, driverVersion: string): readonly MigProfile[] {
  return geometryOfDriver(model, driverVersion)?.profiles ?? [];
}
