/**
 * The catalogue of GPU models: every model and MIG layout that public sources tell.
 */
import { finding, type Outcome, type Place, type Subject } from "../base/index.ts";
import { readIncompleteModels, readModels } from "./catalogue-data.ts";
import type { GpuModel, MigProfile } from "./model.ts";

const models = readModels();
const byId = new Map(models.map((model) => [model.id, model]));

/** All models, with their aliases (other product names that share a layout) after them. */
export function catalogue(): readonly GpuModel[] {
  return models;
}

/** The model with this catalogue id, for example `a100-sxm4-80gb`. */
export function modelById(id: string): GpuModel | undefined {
  return byId.get(id);
}

/** What tells a model on a real machine. */
export interface ModelEvidence {
  /** The product name NVML reports. */
  readonly name: string;
  /** Hexadecimal PCI device and subsystem device ids, if known. */
  readonly pciDeviceId?: string;
  readonly pciSubsystemId?: string;
}

/** The model of a GPU: by its NVML name, else by PCI ids, since one device id can serve two products. */
export function modelOf({ name, pciDeviceId, pciSubsystemId }: ModelEvidence): GpuModel | undefined {
  const named = models.find((model) => model.nvmlName === name || model.otherNvmlNames.includes(name));
  if (named !== undefined || pciDeviceId === undefined) return named;
  const candidates = models.filter((model) => model.pciDeviceIds.includes(pciDeviceId.toUpperCase()));
  if (candidates.length < 2) return candidates[0];
  return candidates.find((model) => model.pciSubsystemIds.includes(pciSubsystemId?.toUpperCase() ?? ""));
}

/** Memory of one instance: what NVML reports, or the arithmetic share, an upper bound, where no source tells. */
export function instanceMemoryMiB(profile: MigProfile): number {
  return profile.memoryMiB ?? profile.memoryMiBShare;
}

export interface FoundModel {
  readonly model: GpuModel;
  /** Others the text could mean as well. */
  readonly others: readonly GpuModel[];
}

/** Whom to blame when a name is not found. */
export interface ModelQuestion {
  readonly subject: Subject;
  readonly place?: Place | undefined;
}

/**
 * Finds the model people mean: a catalogue id, an NVML name in any case, or words of either, such as `A100-80GB`.
 *
 * Of several the one with the fewest further words counts, then the first of the catalogue. A name that is not found
 * or belongs to a model without published layout is a finding.
 */
export function findModel(text: string, question: ModelQuestion): Outcome<FoundModel> {
  const wanted = wordsOf(text);
  const key = wanted.join(" ");
  const exact = models.filter((model) => namesOf(model).some((name) => wordsOf(name).join(" ") === key));
  const matching =
    exact.length > 0 ? exact : wanted.length === 0 ? [] : models.filter((model) => hasWords(model, wanted));
  const [model, ...others] = matching.toSorted((a, b) => extraWords(a) - extraWords(b));
  if (model !== undefined) return { ok: true, value: { model, others }, findings: [] };
  const incomplete = readIncompleteModels().find((one) => wanted.every((word) => wordsOf(one.nvmlName).includes(word)));
  if (incomplete !== undefined && wanted.length > 0) {
    const message = `${incomplete.nvmlName} is known but cannot be simulated: ${incomplete.why}`;
    return {
      ok: false,
      findings: [
        finding("gpu-model-incomplete", question.subject, message, {
          place: question.place,
          remedy: "choose another model",
        }),
      ],
    };
  }
  const message = `no GPU model is called ${JSON.stringify(text)}`;
  const remedy = `use for example ${closest(wanted).join(", ")}`;
  return {
    ok: false,
    findings: [finding("unknown-gpu-model", question.subject, message, { place: question.place, remedy })],
  };
}

function wordsOf(text: string): readonly string[] {
  return text
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== "" && word !== "nvidia" && word !== "tesla");
}

function namesOf(model: GpuModel): readonly string[] {
  return [model.id, model.nvmlName, ...model.otherNvmlNames];
}

function allWords(model: GpuModel): ReadonlySet<string> {
  return new Set(namesOf(model).flatMap(wordsOf));
}

function hasWords(model: GpuModel, wanted: readonly string[]): boolean {
  const words = allWords(model);
  return wanted.every((word) => words.has(word));
}

/** SXM boards are what people mean by the bare name, so their board word does not count. */
function extraWords(model: GpuModel): number {
  return wordsOf(model.id).filter((word) => !word.startsWith("sxm")).length;
}

function closest(wanted: readonly string[]): readonly string[] {
  const start = (wanted[0] ?? "").slice(0, 2);
  const alike = models.filter((model) => wordsOf(model.id).some((word) => start !== "" && word.startsWith(start)));
  return (
    alike.length > 0
      ? alike
      : models.filter((model) => ["a100-sxm4-80gb", "h100-sxm5-80gb", "t4-16gb"].includes(model.id))
  )
    .slice(0, 4)
    .map((model) => model.id);
}
