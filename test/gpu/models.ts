/** Models and profiles by name, for tests. */
import assert from "node:assert/strict";
import { type GpuModel, type MigProfile, modelById } from "../../src/gpu/index.ts";

/** The model with this catalogue id; fails when there is none. */
export function model(id: string): GpuModel {
  return modelById(id) ?? assert.fail(`no model ${id}`);
}

/** The profile of this name; fails when the model has none. */
export function profile(one: GpuModel, name: string): MigProfile {
  return one.mig?.profiles.find((each) => each.name === name) ?? assert.fail(`${one.id} has no profile ${name}`);
}
