/**
 * Reads `gpu-models.json` into typed models. The file is part of the source, so a field that does not fit is an error.
 */
import raw from "./gpu-models.json" with { type: "json" };
import type {
  ComputeInstanceProfile,
  Confidence,
  Engines,
  Exclusion,
  GpuModel,
  MigGeometry,
  MigProfile,
} from "./model.ts";

type Json = Readonly<Record<string, unknown>>;

/** A model whose MIG layout nobody has published: it is known to be MIG capable and cannot be simulated so. */
export interface IncompleteModel {
  readonly nvmlName: string;
  /** What is missing, in a sentence. */
  readonly why: string;
}

/** All models of the file, aliases after them, each alias sharing the figures of the model it names. */
export function readModels(): readonly GpuModel[] {
  const models = raw.models.map((json) => readModel(json));
  const aliases = raw.aliases.map((json): GpuModel => {
    const base = models.find((model) => model.id === json.geometryOf);
    if (base === undefined) throw new Error(`catalogue: alias ${json.nvmlName} names no model`);
    const id = json.nvmlName
      .toLowerCase()
      .replace(/^nvidia /, "")
      .replaceAll(" ", "-");
    const own = { id, nvmlName: json.nvmlName, pciDeviceIds: json.pciDeviceIds, nvlink: json.nvlink };
    return { ...base, ...own, otherNvmlNames: [], pciSubsystemIds: [] };
  });
  return [...models, ...aliases];
}

/** Models that are known by name only. */
export function readIncompleteModels(): readonly IncompleteModel[] {
  return raw.incompleteModels.map(({ nvmlName, why }) => ({ nvmlName, why }));
}

function readModel(json: Json): GpuModel {
  const mig = json["mig"];
  return {
    id: text(json, "id"),
    nvmlName: text(json, "nvmlName"),
    otherNvmlNames: texts(json, "otherNvmlNames"),
    architecture: text(json, "architecture"),
    computeCapability: text(json, "computeCapability"),
    pciDeviceIds: texts(json, "pciDeviceIds"),
    pciSubsystemIds: texts(json, "pciSubsystemIds"),
    memoryMiB: count(json, "memoryMiB"),
    multiprocessors: maybeCount(json, "smCount"),
    nvlink: json["nvlink"] === true,
    mig: mig === null ? undefined : readGeometry(object(mig, "mig")),
  };
}

function readGeometry(json: Json): MigGeometry {
  return {
    name: text(json, "geometry"),
    memorySlices: count(json, "memorySlices"),
    computeSlices: count(json, "computeSlices"),
    engineTotals: readEngines(json, "engineTotals"),
    exclusions: objects(json, "exclusions").map(readExclusion),
    profiles: objects(json, "giProfiles").map(readProfile),
  };
}

function readExclusion(json: Json): Exclusion {
  const common = { profiles: texts(json, "profiles"), reason: text(json, "reason") };
  const rule = text(json, "rule");
  if (rule === "at-most-one-in-total") return { rule, ...common };
  if (rule === "only-alongside") return { rule, ...common, alongside: texts(json, "alongside") };
  throw new Error(`catalogue: unknown exclusion rule ${rule}`);
}

function readProfile(json: Json): MigProfile {
  const confidence = object(json["confidence"], "confidence");
  return {
    name: text(json, "name"),
    nvmlProfileId: count(json, "nvmlProfileId"),
    smiProfileId: count(json, "smiProfileId"),
    computeSlices: count(json, "computeSlices"),
    memorySlices: count(json, "memorySlices"),
    memoryMiB: maybeCount(json, "memoryMiB"),
    memoryMiBShare: count(json, "memoryMiBShare"),
    multiprocessors: maybeCount(json, "multiprocessors"),
    engines: readEngines(json, "engines"),
    maxInstances: count(json, "maxInstances"),
    attributes: texts(json, "attributes"),
    starts: counts(json, "placementStarts"),
    computeInstanceProfiles: objects(json, "ciProfiles").map(readComputeInstanceProfile),
    confidence: {
      placements: readConfidence(confidence, "placements"),
      memory: readConfidence(confidence, "memory"),
      multiprocessors: readConfidence(confidence, "multiprocessors"),
      engines: readConfidence(confidence, "engines"),
      ci: readConfidence(confidence, "ci"),
    },
  };
}

function readComputeInstanceProfile(json: Json): ComputeInstanceProfile {
  return {
    name: text(json, "name"),
    nvmlProfileId: count(json, "nvmlProfileId"),
    smiProfileId: count(json, "smiProfileId"),
    computeSlices: count(json, "computeSlices"),
    maxInstances: count(json, "maxInstances"),
    multiprocessors: maybeCount(json, "multiprocessors"),
    starts: counts(json, "placementStarts"),
    size: count(json, "placementSize"),
  };
}

function readEngines(json: Json, key: string): Engines {
  const engines = object(json[key], key);
  return {
    copy: maybeCount(engines, "copy"),
    decoder: maybeCount(engines, "decoder"),
    encoder: maybeCount(engines, "encoder"),
    jpeg: maybeCount(engines, "jpeg"),
    ofa: maybeCount(engines, "ofa"),
  };
}

function readConfidence(json: Json, key: string): Confidence {
  const value = json[key];
  if (value === null || value === undefined || value === "unknown") return "unknown";
  if (value === "captured" || value === "documented" || value === "sibling") return value;
  throw new Error(`catalogue: unknown confidence ${String(value)}`);
}

function object(value: unknown, key: string): Json {
  if (typeof value !== "object" || value === null) throw new Error(`catalogue: ${key} is no object`);
  return Object.fromEntries(Object.entries(value));
}

function list(json: Json, key: string): readonly unknown[] {
  const value = json[key];
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new Error(`catalogue: ${key} is no list`);
  return value;
}

function objects(json: Json, key: string): readonly Json[] {
  return list(json, key).map((one) => object(one, key));
}

function texts(json: Json, key: string): readonly string[] {
  return list(json, key).map((one) => String(one));
}

function counts(json: Json, key: string): readonly number[] {
  return list(json, key).map((one) => Number(one));
}

function text(json: Json, key: string): string {
  const value = json[key];
  if (typeof value !== "string") throw new Error(`catalogue: ${key} is no text`);
  return value;
}

/** `null` is "not published". */
function maybeCount(json: Json, key: string): number | undefined {
  const value = json[key];
  if (value === null || value === undefined) return undefined;
  if (typeof value !== "number") throw new Error(`catalogue: ${key} is no number`);
  return value;
}

function count(json: Json, key: string): number {
  const value = maybeCount(json, key);
  if (value === undefined) throw new Error(`catalogue: ${key} is missing`);
  return value;
}
