/**
 * Fields that stand twice in a body; whoever reads JSON or YAML takes the last and says nothing.
 */
import { readJsonText } from "../../config/index.ts";
import { isList, isObject, type Json } from "./json.ts";
import { stepsText } from "./known-fields.ts";

/** The paths of repeated fields in a JSON text, as `spec.replicas`, in their order; none for what is no JSON. */
export function repeatedJsonFields(text: string): readonly string[] {
  try {
    const value: Json = JSON.parse(text);
    // Nearly no text repeats a key, and counting is cheap.
    return writtenKeys(text) === keyCount(value) ? [] : new RepetitionScan(text).paths;
  } catch {
    return [];
  }
}

/** How many keys a JSON text writes: strings with a colon behind. */
function writtenKeys(text: string): number {
  let count = 0;
  let start = text.indexOf('"');
  while (start >= 0) {
    const end = closingQuote(text, start);
    let next = end + 1;
    while (" \t\r\n".includes(text[next] ?? "x")) next += 1;
    if (text[next] === ":") count += 1;
    start = text.indexOf('"', next);
  }
  return count;
}

/** The quote that ends the string which begins at `start`. */
function closingQuote(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end;
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text[at - 1 - backslashes] === "\\") backslashes += 1;
  return backslashes % 2 === 1;
}

function keyCount(value: Json): number {
  let count = 0;
  if (isList(value)) for (const one of value) count += keyCount(one);
  else if (isObject(value)) for (const key of Object.keys(value)) count += 1 + keyCount(value[key] ?? null);
  return count;
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
