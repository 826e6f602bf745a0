/**
 * Names and values of feature labels, spelled as NVIDIA's GPU Feature Discovery spells them.
 */

/** Kubernetes' limit for a label's value, which also begins and ends with a letter or digit. */
const valueLimit = 63;

/**
 * The text without what a label cannot hold: other characters dropped, spaces joined by `-` (NVIDIA k8s-device-plugin
 * internal/lm/resource.go). It can still be too long, or begin or end with a sign; see `fitted`.
 */
export function sanitised(text: string): string {
  return text
    .replaceAll(/[^A-Za-z0-9-_. ]/g, "")
    .split(" ")
    .filter((word) => word !== "")
    .join("-");
}

/** A product name: the model, then what was made of it. */
export function productName(model: string, suffixes: readonly string[]): string {
  return [model, ...suffixes].map(sanitised).join("-");
}

/**
 * The value as Kubernetes takes it: without signs at its ends, and cut to its length. A product name is cut in the
 * model, since slices and shares are told apart by what follows it.
 */
export function fitted(value: string): string {
  const trimmed = value.replace(/^[-_.]+/, "").replace(/[-_.]+$/, "");
  if (trimmed.length <= valueLimit) return trimmed;
  const [tail = ""] = /(-MIG-.*)?(-SHARED)?$/.exec(trimmed) ?? [];
  const head = trimmed.slice(0, trimmed.length - tail.length).slice(0, Math.max(0, valueLimit - tail.length));
  return `${head.replace(/[-_.]+$/, "")}${tail}`;
}

/** NVIDIA's word for the architecture behind a compute capability (k8s-device-plugin internal/lm/resource.go). */
export function familyOf(major: number, minor: number): string {
  if (major === 7) return minor < 5 ? "volta" : "turing";
  if (major === 8) return minor < 9 ? "ampere" : "ada-lovelace";
  return families.get(major) ?? "undefined";
}

const families: ReadonlyMap<number, string> = new Map([
  [1, "tesla"],
  [2, "fermi"],
  [3, "kepler"],
  [5, "maxwell"],
  [6, "pascal"],
  [9, "hopper"],
  [10, "blackwell"],
  [12, "blackwell"],
  [13, "rubin"],
]);
