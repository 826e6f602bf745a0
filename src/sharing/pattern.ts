/**
 * Patterns of `resources.gpus` and `resources.mig`, and the names NVIDIA gives where no pattern decides.
 *
 * Source: NVIDIA k8s-device-plugin api/config/v1/resources.go and internal/rm/rm.go.
 */
import type { NamedResource } from "../config/index.ts";

/** The resource of a GPU, and of every MIG device under MIG strategy single. */
export const gpuResource = "nvidia.com/gpu";

/** `nvidia.com/mig-1g.10gb.me` for `1g.10gb+me`: a resource name knows no plus sign. */
export function migResource(profile: string): string {
  return `nvidia.com/mig-${profile.replaceAll("+", ".")}`;
}

/** The first entry whose pattern matches `text`, a product name or a MIG device name. */
export function firstMatch(patterns: readonly NamedResource[], text: string): NamedResource | undefined {
  return patterns.find(({ pattern }) => matches(pattern, text));
}

/**
 * Whether `pattern`, in which `*` stands for any run of characters, covers all of `text`.
 *
 * Looks for the pieces between the stars from left to right, each at its first occurrence, which needs no way back. A
 * regular expression made from the pattern would go back and forth for ever on something like `*a*a*a*a*b`.
 */
export function matches(pattern: string, text: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return pattern === text;
  if (!text.startsWith(first)) return false;
  let from = first.length;
  for (const piece of rest) {
    const at = text.indexOf(piece, from);
    if (at < 0) return false;
    from = at + piece.length;
  }
  return text.length - last.length >= from && text.endsWith(last);
}
