/**
 * Finds the model people mean when they write `A100-80GB`.
 */
import { finding, type Outcome, type Place, type Subject } from "../base/index.ts";
import { catalogueEntries, incompleteModels } from "./catalogue.ts";
import type { CatalogueEntry } from "./catalogue-data.ts";
import type { GpuModel } from "./model.ts";

export interface FoundModel {
  readonly model: GpuModel;
  /** Others the text could mean as well. */
  readonly others: readonly GpuModel[];
}

/** Where the name stands, for the finding. */
export interface ModelQuestion {
  readonly subject: Subject;
  readonly place?: Place | undefined;
}

/**
 * Finds the model people mean: a catalogue id or NVML name in any case and with any separators, or some words of them,
 * such as `A100-80GB`.
 *
 * Where words fit several models, a model's own name counts more than an alias, a name that is complete without its
 * maker more than one that has further words, then an id with fewer further words, then the catalogue's order: it
 * lists the SXM boards first, which people mean by the bare name. A name that is not found or belongs to a model
 * without published layout is a finding.
 */
export function findModel(text: string, question: ModelQuestion): Outcome<FoundModel> {
  const wanted = wordsOf(text);
  const [model, ...others] = candidates(wanted).map((entry) => entry.model());
  if (model !== undefined) return { ok: true, value: { model, others }, findings: [] };
  return { ok: false, findings: [notFound(text, wanted, question)] };
}

function notFound(text: string, wanted: readonly string[], { subject, place }: ModelQuestion) {
  const words = shortened(wanted);
  const incomplete = words.length === 0 ? [] : incompleteModels().filter((one) => hasAll(incompleteWords(one), words));
  const [known] = incomplete;
  if (known !== undefined) {
    const message = `${known.nvmlName} can do MIG, but it cannot be simulated: ${known.why}`;
    const remedy = "choose another model; `A100-80GB` and `H100-80GB` are fully known";
    return finding("gpu-model-incomplete", subject, message, { place, remedy });
  }
  const remedy = `write one of ${closest(words).join(", ")}`;
  return finding("unknown-gpu-model", subject, `no GPU model is called ${JSON.stringify(text)}`, { place, remedy });
}

function candidates(wanted: readonly string[]): readonly CatalogueEntry[] {
  const exact = catalogueEntries().filter((entry) => namesOf(entry).some((name) => sameWords(wordsOf(name), wanted)));
  if (exact.length > 0) return exact;
  const words = shortened(wanted);
  if (words.length === 0) return [];
  const matching = catalogueEntries().filter((entry) => hasAll(new Set(namesOf(entry).flatMap(wordsOf)), words));
  const own = matching.filter((entry) => entry.aliasOf === undefined);
  const complete = (entry: CatalogueEntry): boolean =>
    namesOf(entry).some((name) => sameWords(shortened(wordsOf(name)), words));
  const further = (entry: CatalogueEntry): number => wordsOf(entry.id).filter((word) => !words.includes(word)).length;
  return (own.length > 0 ? own : matching).toSorted(
    (a, b) => Number(complete(b)) - Number(complete(a)) || further(a) - further(b),
  );
}

function namesOf({ id, nvmlName, otherNvmlNames }: CatalogueEntry): readonly string[] {
  return [id, nvmlName, ...otherNvmlNames];
}

function incompleteWords({ nvmlName, variant = "" }: { nvmlName: string; variant: string | undefined }) {
  return new Set(wordsOf(`${nvmlName} ${variant}`));
}

function wordsOf(text: string): readonly string[] {
  return text
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== "");
}

/** Without the words that only say who makes it. */
function shortened(words: readonly string[]): readonly string[] {
  return words.filter((word) => !["nvidia", "tesla", "geforce"].includes(word));
}

function sameWords(a: readonly string[], b: readonly string[]): boolean {
  return a.join(" ") === b.join(" ");
}

function hasAll(words: ReadonlySet<string>, wanted: readonly string[]): boolean {
  return wanted.every((word) => words.has(word));
}

/** Ids of the four models whose names have most letter pairs in common with the words. */
function closest(words: readonly string[]): readonly string[] {
  const wanted = letterPairs(words);
  const likeness = (entry: CatalogueEntry): number => Math.max(...namesOf(entry).map((name) => alike(wanted, name)));
  return catalogueEntries()
    .map((entry) => ({ id: entry.id, likeness: likeness(entry) }))
    .sort((a, b) => b.likeness - a.likeness)
    .slice(0, 4)
    .map(({ id }) => id);
}

/** Sørensen–Dice coefficient of letter pairs, 0 to 1. */
function alike(wanted: ReadonlySet<string>, name: string): number {
  const pairs = letterPairs(shortened(wordsOf(name)));
  const common = [...pairs].filter((pair) => wanted.has(pair)).length;
  return (2 * common) / (wanted.size + pairs.size);
}

/** Neighbouring letters, the start of a word counting as one. */
function letterPairs(words: readonly string[]): ReadonlySet<string> {
  return new Set(words.flatMap((word) => [...word].map((letter, at) => `${word[at - 1] ?? " "}${letter}`)));
}
