/**
 * What can be wrong with the driver library or a GPU, and what works anyway.
 */
import { type Finding, finding, type Subject } from "../../base/index.ts";
import type { DriverError, Gpu } from "../driver.ts";
import { geometryOfDriver } from "../driver-geometry.ts";
import type { MigProfile } from "../model.ts";
import type { GpuFacts } from "./facts.ts";
import type { LoadFailure } from "./native.ts";
import { driverNotLoaded, gpuIsLost, noPermission, returnText, versionMismatch } from "./return-codes.ts";
import type { ClosedGpu, OpenGpu } from "./session.ts";
import { type NvmlSymbol, nvmlSymbols, type SymbolName } from "./symbols.ts";

const node: Subject = { kind: "node", name: "this node" };
const withoutGpus = "what needs no GPU works, also with simulated GPUs (`--driver simulated`)";

/** No library could be loaded from any of the places it was looked for. */
export function libraryFinding(failures: readonly LoadFailure[]): Finding {
  const present = failures.find(({ reason }) => reason === "unusable");
  const evidence = { tried: failures.map(({ path, text }) => `${path}: ${text}`) };
  if (failures.some(({ reason }) => reason === "no-native-module")) {
    const message = `native libraries cannot be called: ${failures[0]?.text ?? ""}; ${withoutGpus}`;
    const remedy = "install the optional package @koromix/koffi-linux-x64 or -arm64 (do not omit optional packages)";
    return finding("nvml-library-unusable", node, message, { evidence, remedy });
  }
  if (present !== undefined) {
    const message = `${present.path} is not a usable NVML library: ${present.text}; ${withoutGpus}`;
    const remedy = "name the libnvidia-ml.so.1 of the running NVIDIA driver; it needs glibc, so not an Alpine image";
    return finding("nvml-library-unusable", node, message, { evidence, remedy });
  }
  const paths = failures.map(({ path }) => path).join(", ");
  const message = `no NVML library is there, looked for ${paths}; ${withoutGpus}`;
  const remedy = "install the NVIDIA driver, or name its libnvidia-ml.so.1 and the host's root directory";
  return finding("nvml-library-missing", node, message, { evidence, remedy });
}

/** The library is there but answered `result` to its initialisation. */
export function initialisationFinding(path: string, result: number, loaded: boolean): Finding {
  const evidence = { library: path, result, kernelModuleLoaded: loaded };
  const answer = `${path} answers ${returnText(result)}`;
  if (result === driverNotLoaded) {
    const seen = loaded ? "the kernel module is loaded, so it may still be starting" : "no kernel module is loaded";
    return finding("nvidia-driver-not-loaded", node, `${answer}: ${seen}; ${withoutGpus}`, {
      evidence,
      remedy: "load the driver (modprobe nvidia), or wait for the driver container; then try again",
    });
  }
  if (result === versionMismatch) {
    return finding(
      "nvidia-driver-mismatch",
      node,
      `${answer}: the driver was updated while loaded; running pods go on`,
      {
        evidence,
        remedy: "reboot the node, or unload and load the nvidia kernel modules",
      },
    );
  }
  if (result === noPermission) {
    return finding("nvml-no-permission", node, `${answer}; ${withoutGpus}`, {
      evidence,
      remedy: "run as root, or with access to /dev/nvidiactl and the /dev/nvidia* files",
    });
  }
  return finding("nvml-library-unusable", node, `${answer}; ${withoutGpus}`, {
    evidence,
    remedy: "see the kernel log (dmesg) for NVRM messages",
  });
}

/** The library is of an older branch and lacks functions; what is done without them. */
export function olderLibraryFinding(missing: readonly SymbolName[], driverVersion: string): Finding | undefined {
  if (missing.length === 0) return undefined;
  const without = new Set<string>();
  let branch = 0;
  for (const name of missing) {
    const { since }: NvmlSymbol = nvmlSymbols[name];
    if (since !== undefined) without.add(since.without);
    branch = Math.max(branch, since?.branch ?? 0);
  }
  const instead = without.size === 0 ? "calls that need them fail" : [...without].join("; ");
  const message = `the library of driver ${driverVersion} lacks ${missing.length} functions: ${instead}`;
  return finding("nvml-functions-missing", node, message, {
    evidence: { missing },
    remedy:
      branch === 0 ? "install a newer NVIDIA driver" : `nothing must be done; driver ${branch} and later have them`,
  });
}

/** A GPU that is counted but cannot be used. */
export function closedGpuFinding({ index, uuid, result }: ClosedGpu): Finding {
  const subject: Subject = { kind: "gpu", name: `GPU ${index}` };
  const evidence = { index, uuid, result };
  const who = uuid === undefined ? `GPU ${index}` : `GPU ${index} (${uuid})`;
  if (result === gpuIsLost) {
    return finding("gpu-lost", subject, `${who} has fallen off the bus; the other GPUs work`, {
      evidence,
      remedy:
        "drain and reboot the node; if it comes back, look for XID 79 in the kernel log and check power and seating",
    });
  }
  return finding("gpu-unreadable", subject, `${who} cannot be opened: ${returnText(result)}; the other GPUs work`, {
    evidence,
    remedy:
      result === noPermission ? `give this process access to the GPU's device file` : "see the kernel log (dmesg)",
  });
}

/** A GPU that was opened but a call about it failed. */
export function unreadGpuFinding({ index, uuid }: OpenGpu, error: DriverError): Finding {
  if (error.nvmlCode === "gpu-is-lost") return closedGpuFinding({ index, uuid, result: gpuIsLost });
  const message = `GPU ${index} (${uuid}) cannot be read: ${error.message}; the other GPUs work`;
  return finding("gpu-unreadable", { kind: "gpu", name: `GPU ${index}` }, message, {
    evidence: { index, uuid, call: error.call, nvmlCode: error.nvmlCode },
    remedy: error.remedy,
  });
}

/** What is to be said about a GPU that can be read. */
export function gpuFindings(gpu: Gpu, facts: GpuFacts, driverVersion: string): readonly Finding[] {
  return [unknownModel(gpu, facts), unreadInstances(gpu), disagreement(gpu, facts, driverVersion)].filter(
    (one) => one !== undefined,
  );
}

function unknownModel(gpu: Gpu, { model }: GpuFacts): Finding | undefined {
  if (model !== undefined) return undefined;
  const cuts = gpu.profiles.length === 0 ? "" : ` and cut by the ${gpu.profiles.length} MIG profiles it tells`;
  const message = `the catalogue does not know GPU ${gpu.index}, ${gpu.name} (PCI ${gpu.pci.vendorId}:${gpu.pci.deviceId}); it is shown as its driver tells${cuts}`;
  return finding("gpu-not-in-catalogue", subjectOf(gpu), message, {
    evidence: { name: gpu.name, pci: gpu.pci },
    remedy: "report the GPU's name and the output of nvidia-smi mig -lgip, so that it can be added",
  });
}

function unreadInstances(gpu: Gpu): Finding | undefined {
  if (gpu.instancesUnread === undefined) return undefined;
  const message = `the instances of GPU ${gpu.index} cannot be read: ${gpu.instancesUnread}; its mode, memory and MIG profiles can`;
  return finding("nvml-no-permission", subjectOf(gpu), message, {
    remedy: "run as root, or give access to /proc/driver/nvidia/capabilities/mig/monitor (and mig/config for changes)",
  });
}

/** Where hardware and catalogue tell different things of a model; the hardware counts. */
function disagreement(gpu: Gpu, { model, profilesTold }: GpuFacts, driverVersion: string): Finding | undefined {
  const known = model === undefined ? undefined : geometryOfDriver(model, driverVersion)?.profiles;
  if (!profilesTold || known === undefined) return undefined;
  const ids = new Set([...gpu.profiles, ...known].map(({ smiProfileId }) => smiProfileId));
  const differences = [...ids].flatMap((id) => {
    const told = gpu.profiles.find(({ smiProfileId }) => smiProfileId === id);
    const listed = known.find(({ smiProfileId }) => smiProfileId === id);
    return differencesOf(told, listed);
  });
  if (differences.length === 0) return undefined;
  const message = `GPU ${gpu.index} (${gpu.name}) and the catalogue disagree: ${differences.join("; ")}; the GPU counts`;
  return finding("mig-profiles-disagree", subjectOf(gpu), message, {
    evidence: { differences, model: model?.id, driverVersion },
    remedy: "report it with the output of nvidia-smi mig -lgip and -lgipp, so that the catalogue can be corrected",
  });
}

function differencesOf(told: MigProfile | undefined, listed: MigProfile | undefined): readonly string[] {
  if (told === undefined) return [`the GPU has no ${listed?.name}`];
  if (listed === undefined) return [`the catalogue has no ${told.name}`];
  const rows = [
    ["name", told.name, [listed.name, ...(listed.otherNames ?? [])].includes(told.name) ? told.name : listed.name],
    ["starts", told.starts.join(","), listed.starts.join(",")],
    ["memory slices", told.memorySlices, listed.memorySlices],
    ["compute slices", told.computeSlices, listed.computeSlices],
    ["instances", told.maxInstances, listed.maxInstances],
  ] as const;
  return rows
    .filter(([, ours, theirs]) => ours !== theirs)
    .map(([what, ours, theirs]) => `${what} of ${told.name}: ${ours}, catalogue ${theirs}`);
}

function subjectOf({ index }: Gpu): Subject {
  return { kind: "gpu", name: `GPU ${index}` };
}
