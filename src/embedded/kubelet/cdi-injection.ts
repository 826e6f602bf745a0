/**
 * What a container runtime injects for CDI names: it looks them up in the specs on the node, and fails the container
 * when one of them is in none, as containerd does with github.com/cncf-tags/container-device-interface pkg/cdi.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseCdiSpec } from "../../kubelet/index.ts";
import type { CdiEdits, CdiSpec } from "../../sharing/index.ts";
import type { DeviceFault } from "./visible-devices.ts";

/** The sum of all edits in the order in which the names were given, or why the container cannot be created. */
export type Injected =
  | { readonly ok: true; readonly edits: Required<CdiEdits> }
  | { readonly ok: false; readonly fault: DeviceFault };

/**
 * Resolves `names` in the specs of `directory` as they are at this moment. What a file has for all its devices is
 * injected once, before the first of them.
 */
export async function injectedEdits(directory: string, names: readonly string[]): Promise<Injected> {
  const specs = names.length === 0 ? [] : await readSpecs(directory);
  const seen = new Set<CdiSpec>();
  const edits: CdiEdits[] = [];
  const unresolved: string[] = [];
  for (const name of names) {
    const found = specs.flatMap((spec) =>
      spec.devices.filter((one) => `${spec.kind}=${one.name}` === name).map((device) => ({ spec, device })),
    );
    const [only] = found;
    // A name that stands twice is a conflict, and resolves to nothing.
    if (only === undefined || found.length > 1) {
      unresolved.push(name);
      continue;
    }
    if (!seen.has(only.spec)) edits.push(only.spec.containerEdits ?? {});
    seen.add(only.spec);
    edits.push(only.device.containerEdits);
  }
  if (unresolved.length === 0) return { ok: true, edits: sumOf(edits) };
  const message = `failed to create containerd container: CDI device injection failed: unresolvable CDI devices ${unresolved.join(", ")}`;
  return { ok: false, fault: { reason: "CreateContainerError", message } };
}

/** A file that is no spec is passed over; the others stay usable. */
async function readSpecs(directory: string): Promise<readonly CdiSpec[]> {
  const files = (await readdir(directory).catch(() => [])).filter((name) => name.endsWith(".json")).sort();
  const texts = await Promise.all(files.map((name) => readFile(join(directory, name), "utf8").catch(() => "")));
  return texts.map(parseCdiSpec).filter((spec) => spec !== undefined);
}

function sumOf(edits: readonly CdiEdits[]): Required<CdiEdits> {
  return {
    env: edits.flatMap((one) => one.env ?? []),
    deviceNodes: edits.flatMap((one) => one.deviceNodes ?? []),
    mounts: edits.flatMap((one) => one.mounts ?? []),
    hooks: edits.flatMap((one) => one.hooks ?? []),
  };
}
