/**
 * Reads `gpu-models.json` into typed models. The file is part of the source, so a field that does not fit is an error.
 *
 * `null` in the file is "not published in any source found" and becomes `undefined`, never zero.
 */
import { TrancheError } from "../base/index.ts";
import raw from "./gpu-models.json" with { type: "json" };
import type {
  ComputeInstanceProfile,
  Confidence,
  Engines,
  Exclusion,
  GpuModel,
  MigGeometry,
  MigProfile,
  ModelConfidenceWord,
} from "./model.ts";

/** A model that can do MIG but whose layout nobody has published, so that it cannot be simulated. */
export interface IncompleteModel {
  readonly nvmlName: string;
  /** Tells it from a model of the same name, for example `DGX Station`. */
  readonly variant: string | undefined;
  readonly pciDeviceIds: readonly string[];
  /** What is missing, in sentences. */
  readonly why: string;
}

type Json = Readonly<Record<string, unknown>>;

const confidenceWords: readonly Confidence[] = ["captured", "documented", "sibling", "unknown"];
const modelConfidenceWords: readonly ModelConfidenceWord[] = [
  "high",
  "medium",
  "low",
  "derived",
  "partly captured",
  "unknown",
];

/** What a model is found by. The rest is read when somebody asks for it: a command needs one or two models of forty. */
export interface CatalogueEntry
  extends Pick<GpuModel, "id" | "nvmlName" | "otherNvmlNames" | "aliasOf" | "pciDeviceIds" | "pciSubsystemIds"> {
  /** The same object every time. */
  readonly model: () => GpuModel;
}

/** All models of the file, then its aliases: other product names for the layout and figures of a model. */
export function readEntries(): readonly CatalogueEntry[] {
  const own = objects(raw, "models").map(readEntry);
  return [...own, ...objects(raw, "aliases").map((json) => readAliasEntry(json, own))];
}

/** The models that are known but incomplete. */
export function readIncompleteModels(): readonly IncompleteModel[] {
  return objects(raw, "incompleteModels").map((json) => ({
    nvmlName: text(json, "nvmlName"),
    variant: maybeText(json, "variant"),
    pciDeviceIds: texts(json, "pciDeviceIds"),
    why: text(json, "why"),
  }));
}

function readEntry(json: Json): CatalogueEntry {
  const names = {
    id: text(json, "id"),
    nvmlName: text(json, "nvmlName"),
    otherNvmlNames: texts(json, "otherNvmlNames"),
    aliasOf: undefined,
    pciDeviceIds: texts(json, "pciDeviceIds"),
    pciSubsystemIds: texts(json, "pciSubsystemIds"),
  };
  return { ...names, model: once(() => ({ ...names, ...readFigures(json) })) };
}

/**
 * An alias takes everything from its model and vouches for none of it: its figures were read off another card, so
 * what is "captured" there is "sibling" here.
 */
function readAliasEntry(json: Json, own: readonly CatalogueEntry[]): CatalogueEntry {
  const nvmlName = text(json, "nvmlName");
  const entry = own.find(({ id }) => id === json["geometryOf"]);
  if (entry === undefined) throw broken("geometryOf", `of ${nvmlName} names no model`);
  const names = {
    id: nvmlName.toLowerCase().replaceAll(" ", "-"),
    nvmlName,
    otherNvmlNames: [],
    aliasOf: entry.id,
    pciDeviceIds: texts(json, "pciDeviceIds"),
    pciSubsystemIds: [],
  };
  const word = oneOf(modelConfidenceWords, json, "confidence");
  const read = (): GpuModel => {
    const base = entry.model();
    return {
      ...base,
      ...names,
      marketingName: nvmlName,
      nvlink: json["nvlink"] === true,
      mig: base.mig === undefined ? undefined : { ...base.mig, profiles: base.mig.profiles.map(asSibling) },
      confidence: { identity: word, base: word, geometry: word, figures: word },
      notes: [text(json, "note")],
    };
  };
  return { ...names, model: once(read) };
}

function once<T extends object>(read: () => T): () => T {
  let value: T | undefined;
  return () => {
    value ??= read();
    return value;
  };
}

function readFigures(json: Json): Omit<GpuModel, Exclude<keyof CatalogueEntry, "model">> {
  const confidence = object(json, "confidence");
  const word = (key: string): ModelConfidenceWord => oneOf(modelConfidenceWords, confidence, key);
  return {
    marketingName: text(json, "marketingName"),
    architecture: text(json, "architecture"),
    computeCapability: text(json, "computeCapability"),
    memoryMiB: count(json, "memoryMiB"),
    multiprocessors: maybeCount(json, "smCount"),
    memoryBandwidthGBPerSecond: maybeCount(json, "memoryBandwidthGBs"),
    nvlink: json["nvlink"] === true,
    nvlinkNote: maybeText(json, "nvlinkNote"),
    minDriverForMig: maybeText(json, "minDriverForMig"),
    mig: json["mig"] === null ? undefined : readGeometry(object(json, "mig")),
    confidence: {
      identity: word("identity"),
      base: word("base"),
      geometry: word("geometry"),
      figures: word("figures"),
    },
    notes: texts(json, "notes"),
  };
}

function asSibling(profile: MigProfile): MigProfile {
  const lower = (one: Confidence): Confidence => (one === "unknown" ? "unknown" : "sibling");
  const { placements, memory, multiprocessors, engines, ci } = profile.confidence;
  return {
    ...profile,
    confidence: {
      placements: lower(placements),
      memory: lower(memory),
      multiprocessors: lower(multiprocessors),
      engines: lower(engines),
      ci: lower(ci),
    },
  };
}

function readGeometry(json: Json): MigGeometry {
  return {
    name: text(json, "geometry"),
    memorySlices: count(json, "memorySlices"),
    computeSlices: count(json, "computeSlices"),
    multiprocessors: maybeCount(json, "multiprocessorsInMig"),
    engineTotals: readEngines(object(json, "engineTotals")),
    engineFallbackModelId: maybeText(json, "engineFallbackModel"),
    exclusions: objects(json, "exclusions").map(readExclusion),
    profiles: objects(json, "giProfiles").map(readProfile),
  };
}

function readExclusion(json: Json): Exclusion {
  const common = { profiles: texts(json, "profiles"), reason: text(json, "reason") };
  const rule = oneOf(["at-most-one-in-total", "only-alongside"], json, "rule");
  return rule === "only-alongside" ? { rule, ...common, alongside: texts(json, "alongside") } : { rule, ...common };
}

function readProfile(json: Json): MigProfile {
  const confidence = object(json, "confidence");
  const word = (key: string): Confidence => oneOf(confidenceWords, confidence, key);
  const memorySlices = count(json, "memorySlices");
  if (count(json, "placementSize") !== memorySlices) throw broken("placementSize", "is not memorySlices");
  return {
    name: text(json, "name"),
    nvmlProfileId: count(json, "nvmlProfileId"),
    smiProfileId: count(json, "smiProfileId"),
    computeSlices: count(json, "computeSlices"),
    memorySlices,
    memoryMiB: maybeCount(json, "memoryMiB"),
    memoryMiBShare: count(json, "memoryMiBShare"),
    observedMemoryMiB: counts(json, "memoryMiBObserved"),
    otherNames: texts(json, "otherNamesSeen"),
    sinceDriver: maybeText(json, "sinceDriver"),
    multiprocessors: maybeCount(json, "multiprocessors"),
    engines: readEngines(object(json, "engines")),
    maxInstances: count(json, "maxInstances"),
    attributes: texts(json, "attributes"),
    starts: counts(json, "placementStarts"),
    computeInstanceProfiles: objects(json, "ciProfiles").map(readComputeInstanceProfile),
    confidence: {
      placements: word("placements"),
      memory: word("memory"),
      multiprocessors: word("multiprocessors"),
      engines: word("engines"),
      ci: word("ci"),
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

function readEngines(json: Json): Engines {
  return {
    copy: maybeCount(json, "copy"),
    decoder: maybeCount(json, "decoder"),
    encoder: maybeCount(json, "encoder"),
    jpeg: maybeCount(json, "jpeg"),
    ofa: maybeCount(json, "ofa"),
  };
}

function broken(key: string, problem: string): TrancheError {
  return new TrancheError("catalogue-broken", `gpu-models.json: ${key} ${problem}`);
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function object(json: Json, key: string): Json {
  const value = json[key];
  if (!isObject(value)) throw broken(key, "is no object");
  return value;
}

/** An absent list is an empty one. */
function list(json: Json, key: string): readonly unknown[] {
  const value = json[key] ?? [];
  if (!Array.isArray(value)) throw broken(key, "is no list");
  return value;
}

function objects(json: Json, key: string): readonly Json[] {
  return list(json, key).map((one) => {
    if (!isObject(one)) throw broken(key, "has an entry that is no object");
    return one;
  });
}

function texts(json: Json, key: string): readonly string[] {
  return list(json, key).map((one) => {
    if (typeof one !== "string") throw broken(key, "has an entry that is no text");
    return one;
  });
}

function counts(json: Json, key: string): readonly number[] {
  return list(json, key).map((one) => {
    if (typeof one !== "number") throw broken(key, "has an entry that is no number");
    return one;
  });
}

function maybeText(json: Json, key: string): string | undefined {
  const value = json[key] ?? undefined;
  if (value !== undefined && typeof value !== "string") throw broken(key, "is no text");
  return value;
}

function text(json: Json, key: string): string {
  const value = maybeText(json, key);
  if (value === undefined) throw broken(key, "is missing");
  return value;
}

function maybeCount(json: Json, key: string): number | undefined {
  const value = json[key] ?? undefined;
  if (value !== undefined && typeof value !== "number") throw broken(key, "is no number");
  return value;
}

function count(json: Json, key: string): number {
  const value = maybeCount(json, key);
  if (value === undefined) throw broken(key, "is missing");
  return value;
}

/** One of a few words; nothing at all is "unknown" where that is one of them. */
function oneOf<Word extends string>(words: readonly Word[], json: Json, key: string): Word {
  const value = json[key] ?? "unknown";
  const word = words.find((one) => one === value);
  if (word === undefined) throw broken(key, `is ${JSON.stringify(value)}, not one of ${words.join(", ")}`);
  return word;
}
