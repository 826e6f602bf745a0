/**
 * Fields that stand twice in a body; whoever reads JSON or YAML takes the last and says nothing.
 */
import { readJsonText } from "../../config/index.ts";
import { isList, isObject, type Json } from "./json.ts";
import { stepsText } from "./known-fields.ts";

/** Strings, and the colon behind those that are keys. */
const stringPattern = /"(?:[^"\\]|\\.)*"(\s*:)?/g;

/** The paths of repeated fields in a JSON text, as `spec.replicas`, in their order; none for what is no JSON. */
export function repeatedJsonFields(text: string): readonly string[] {
  try {
    const value: Json = JSON.parse(text);
    // Nearly no text repeats a key, and counting is cheap.
    let keys = 0;
    for (const match of text.matchAll(stringPattern)) if (match[1] !== undefined) keys += 1;
    return keys === keyCount(value) ? [] : new RepetitionScan(text).paths;
  } catch {
    return [];
  }
}

function keyCount(value: Json): number {
  if (isList(value)) return value.reduce<number>((sum, one) => sum + keyCount(one), 0);
  if (!isObject(value)) return 0;
  return Object.values(value).reduce<number>((sum, one) => sum + 1 + keyCount(one), 0);
}

/** An object or list that the scan is in. */
interface Frame {
  /** `undefined` in a list. */
  readonly keys: Set<string> | undefined;
  step: string | number;
}

/** One walk over the tokens of a JSON text that is known to be one. */
class RepetitionScan {
  readonly paths: string[] = [];
  readonly #frames: Frame[] = [];

  constructor(text: string) {
    for (const [token, colon] of text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?|[[\]{},]/g)) this.#take(token, colon);
  }

  #take(token: string, colon: string | undefined): void {
    const frame = this.#frames.at(-1);
    if (token === "{") this.#frames.push({ keys: new Set(), step: "" });
    else if (token === "[") this.#frames.push({ keys: undefined, step: 0 });
    else if (token === "}" || token === "]") this.#frames.pop();
    else if (token === "," && typeof frame?.step === "number") frame.step += 1;
    else if (colon !== undefined && frame?.keys !== undefined) this.#enter(frame, frame.keys, token, colon);
  }

  #enter(frame: Frame, keys: Set<string>, token: string, colon: string): void {
    const key = String(JSON.parse(token.slice(0, token.length - colon.length)));
    frame.step = key;
    if (keys.has(key)) this.paths.push(stepsText(this.#frames.map(({ step }) => step)));
    keys.add(key);
  }
}

/** What YAML's reader says of repeated keys in a text, as one message of several lines; `undefined` when there are none. */
export function repeatedYamlKeys(text: string): string | undefined {
  const read = readJsonText(text, "body");
  if (!read.ok || read.value.repeated.length === 0) return undefined;
  const lines = read.value.repeated.map(
    ({ place, evidence }) => `  line ${place?.line ?? 1}: key ${JSON.stringify(evidence["key"])} already set in map`,
  );
  return ["yaml: unmarshal errors:", ...lines].join("\n");
}
