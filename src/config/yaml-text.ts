/**
 * Writes values as YAML that Kubernetes' and NVIDIA's readers take back unchanged.
 */
import { dump } from "js-yaml";

/** One document; text that a YAML 1.1 reader would take for a number or boolean is quoted. */
export function yamlText(value: unknown): string {
  return dump(value, { noRefs: true, lineWidth: -1 });
}
