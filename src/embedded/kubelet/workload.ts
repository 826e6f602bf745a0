/**
 * What a simulated container does: read from annotations of its pod. This file is where their names are defined.
 *
 * Each annotation has a pod-wide form and one for a single container, `<name>.<container>`, which wins. The pod-wide
 * form speaks for app containers only; an init container ends at once with exit code 0 unless it has a form of its own.
 *
 * | annotation              | value                | meaning                                                        |
 * |-------------------------|----------------------|----------------------------------------------------------------|
 * | `tranche.dev/gpu-memory`  | quantity, `12Gi`     | GPU memory the program allocates on its first visible device   |
 * | `tranche.dev/gpu-compute` | percent, `40`        | load it says it puts on that device; carried along for reports |
 * | `tranche.dev/run-for`     | duration, `1m30s`    | how long it runs; absent: until it is told to stop             |
 * | `tranche.dev/exit-code`   | number, 0 to 255     | how it ends when that time is over; default 0                  |
 */
import { type Finding, finding, type Outcome } from "../../base/index.ts";
import { type Container, type Pod, parseQuantity } from "../../kube/index.ts";

/** The annotations' names without the container's suffix. */
export const workloadAnnotations = {
  gpuMemory: "tranche.dev/gpu-memory",
  gpuCompute: "tranche.dev/gpu-compute",
  runFor: "tranche.dev/run-for",
  exitCode: "tranche.dev/exit-code",
} as const;

/** What one container's program does. */
export interface Workload {
  /** GPU memory in MiB; `undefined` when it uses no GPU. */
  readonly memoryMiB: number | undefined;
  /** Whether the memory was asked for by the pod-wide form: then it counts only if the container sees a GPU. */
  readonly memoryIfVisible: boolean;
  readonly computePercent: number | undefined;
  /** `undefined`: runs until it is told to stop. */
  readonly runForMs: number | undefined;
  readonly exitCode: number;
}

const bytesPerMiB = 1024 * 1024;

/** Reads the annotations for `container`; every value that cannot be read is a finding. */
export function parseWorkload(pod: Pod, container: Container): Outcome<Workload> {
  const findings: Finding[] = [];
  const isInit = pod.spec.initContainers?.some((one) => one.name === container.name) ?? false;
  const annotations = pod.metadata.annotations ?? {};
  const value = <T>(name: string, parse: (text: string) => T | string): T | undefined => {
    const key = isInit || `${name}.${container.name}` in annotations ? `${name}.${container.name}` : name;
    const text = annotations[key];
    if (text === undefined) return undefined;
    const parsed = parse(text.trim());
    if (typeof parsed !== "string") return parsed;
    findings.push(
      badAnnotation(pod, `annotation ${key}: "${text}" ${parsed}`, `write it as in ${key}: "${examples[name]}"`),
    );
    return undefined;
  };

  const memoryMiB = value(workloadAnnotations.gpuMemory, parseMemory);
  const computePercent = value(workloadAnnotations.gpuCompute, parsePercent);
  const runForMs = value(workloadAnnotations.runFor, parseDuration);
  const exitCode = value(workloadAnnotations.exitCode, parseExitCode);
  if (findings.length > 0) return { ok: false, findings };
  const isSidecar = isInit && container.restartPolicy === "Always";
  const workload = {
    memoryMiB,
    memoryIfVisible:
      !(`${workloadAnnotations.gpuMemory}.${container.name}` in annotations) && pod.spec.containers.length > 1,
    computePercent,
    runForMs: isInit && !isSidecar ? (runForMs ?? 0) : runForMs,
    exitCode: exitCode ?? 0,
  };
  return { ok: true, value: workload, findings };
}

/** Annotations for containers that the pod does not have, which nothing would ever read. */
export function strayAnnotations(pod: Pod): readonly Finding[] {
  const names = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].map((one) => one.name);
  return Object.keys(pod.metadata.annotations ?? {}).flatMap((key) => {
    const name = Object.values(workloadAnnotations).find((one) => key.startsWith(`${one}.`));
    if (name === undefined) return [];
    const container = key.slice(name.length + 1);
    if (names.includes(container)) return [];
    return [badAnnotation(pod, `annotation ${key} names no container of the pod`, `use one of: ${names.join(", ")}`)];
  });
}

const examples: Readonly<Record<string, string>> = {
  [workloadAnnotations.gpuMemory]: "12Gi",
  [workloadAnnotations.gpuCompute]: "40",
  [workloadAnnotations.runFor]: "1m30s",
  [workloadAnnotations.exitCode]: "1",
};

function badAnnotation(pod: Pod, message: string, remedy: string): Finding {
  const name = `${pod.metadata.namespace ?? "default"}/${pod.metadata.name}`;
  return finding("bad-workload-annotation", { kind: "pod", name }, message, { remedy });
}

/** MiB, rounded up; a text says what is wrong. */
function parseMemory(text: string): number | string {
  const bytes = parseQuantity(text);
  if (bytes === undefined) return "is not a quantity";
  if (bytes < 0) return "is negative";
  // A bare number counts bytes; whoever writes 12288 means MiB, and would wonder why it always fits.
  if (bytes > 0 && bytes < bytesPerMiB) return "is less than 1 MiB, since a quantity without suffix counts bytes";
  return Math.ceil(bytes / bytesPerMiB);
}

function parsePercent(text: string): number | string {
  const match = /^(\d+(?:\.\d+)?)\s*%?$/.exec(text);
  const percent = Number(match?.[1] ?? Number.NaN);
  return percent >= 0 && percent <= 100 ? percent : "is not a percentage between 0 and 100";
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Go's time.ParseDuration as far as people write it by hand. */
function parseDuration(text: string): number | string {
  if (text === "0") return 0;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join("") !== text) return "is not a duration";
  return parts.reduce((sum, [, amount = "0", unit = "s"]) => sum + Number(amount) * (unitMs[unit] ?? 0), 0);
}

function parseExitCode(text: string): number | string {
  const code = Number(text);
  return /^\d+$/.test(text) && code <= 255 ? code : "is not a number between 0 and 255";
}
