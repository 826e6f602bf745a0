/**
 * Reads CDI specs as strictly as a container runtime does: what has an unknown key or a wrong type is no spec.
 */
import type { CdiDevice, CdiEdits, CdiSpec } from "../sharing/index.ts";

/** The spec in `text`; `undefined` when it is none, or has something in it that Tranche never writes. */
export function parseCdiSpec(text: string): CdiSpec | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isSpec(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === "string";
const isTexts = listOf(isText);
const nodeOf = record({ path: isText }, { hostPath: isText });
const mountOf = record({ hostPath: isText, containerPath: isText }, { options: isTexts });
const hookOf = record({ hookName: isText, path: isText }, { args: isTexts });
const editsOf = record(
  {},
  { env: isTexts, deviceNodes: listOf(nodeOf), mounts: listOf(mountOf), hooks: listOf(hookOf) },
);
const deviceOf = record({ name: isText, containerEdits: isEdits }, {});
const specOf = record({ cdiVersion: isText, kind: isText, devices: listOf(isDevice) }, { containerEdits: isEdits });

function isSpec(value: unknown): value is CdiSpec {
  return specOf(value);
}

function isDevice(value: unknown): value is CdiDevice {
  return deviceOf(value);
}

function isEdits(value: unknown): value is CdiEdits {
  return editsOf(value);
}

function listOf(check: Check): Check {
  return (value) => Array.isArray(value) && value.every(check);
}

/** An object with all of `required`, some of `optional` and nothing else. */
function record(required: Readonly<Record<string, Check>>, optional: Readonly<Record<string, Check>>): Check {
  const all: Readonly<Record<string, Check>> = { ...required, ...optional };
  return (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
    const entries = Object.entries(value);
    return (
      Object.keys(required).every((key) => Object.hasOwn(value, key)) &&
      entries.every(([key, one]) => Object.hasOwn(all, key) && all[key]?.(one) === true)
    );
  };
}
