/**
 * A specification of the Container Device Interface, as far as it is used here, and the names of what it describes.
 *
 * Field names and rules are those of github.com/cncf-tags/container-device-interface specs-go/config.go.
 */

/** What a container gets when one of the devices, or any of a file, is asked for. */
export interface CdiEdits {
  readonly env?: readonly string[];
  readonly deviceNodes?: readonly CdiDeviceNode[];
  readonly mounts?: readonly CdiMount[];
  readonly hooks?: readonly CdiHook[];
}

export interface CdiDeviceNode {
  /** In the container. */
  readonly path: string;
  /** On the host, when it is another one. */
  readonly hostPath?: string;
}

export interface CdiMount {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly options?: readonly string[];
}

/** A program of the host that the runtime calls, as in the OCI runtime specification. */
export interface CdiHook {
  readonly hookName: string;
  readonly path: string;
  /** The first is the program's name. */
  readonly args?: readonly string[];
}

export interface CdiDevice {
  /** Unique within the file. */
  readonly name: string;
  readonly containerEdits: CdiEdits;
}

export interface CdiSpec {
  readonly cdiVersion: string;
  /** `vendor/class`. */
  readonly kind: string;
  /** At least one. */
  readonly devices: readonly CdiDevice[];
  readonly containerEdits?: CdiEdits;
}

/** The vendor of the device plugin's CDI devices (NVIDIA k8s-device-plugin internal/cdi). */
const cdiVendor = "k8s.device-plugin.nvidia.com";

/** The classes of the device plugin's CDI devices, each with a file of its own. */
export const cdiClasses = ["gpu", "imex-channel", "gdrcopy", "gds", "mofed"] as const;
export type CdiClass = (typeof cdiClasses)[number];

/** A kind of CDI device beside GPUs, of which a container gets all there are. */
export type CdiExtra = "gdrcopy" | "gds" | "mofed";

export function cdiKind(cdiClass: CdiClass): string {
  return `${cdiVendor}/${cdiClass}`;
}

/**
 * What CDI calls the device that a pod is told as `id`. UUIDs of old drivers, `MIG-GPU-…/1/0`, have slashes, which no
 * CDI name may have: a runtime would refuse the whole file.
 */
export function cdiDeviceName(id: string): string {
  return id.replaceAll("/", "_");
}

/** The fully qualified name: `k8s.device-plugin.nvidia.com/gpu=GPU-…`. */
export function cdiName(cdiClass: CdiClass, device: string): string {
  return `${cdiKind(cdiClass)}=${device}`;
}

/** The name of the file that holds the devices of a class. */
export function cdiFileName(cdiClass: CdiClass): string {
  return `${cdiVendor}-${cdiClass}.json`;
}

/**
 * The lowest version that knows everything in the spec, which is what its writers shall declare: a runtime refuses a
 * file of a version it does not know (specs-go/version.go, `MinimumRequiredVersion`).
 */
export function minimumCdiVersion(devices: readonly CdiDevice[], common: CdiEdits = {}): string {
  const edits = [common, ...devices.map((one) => one.containerEdits)];
  const hasHostPath = edits.some(({ deviceNodes = [] }) => deviceNodes.some((node) => node.hostPath !== undefined));
  return hasHostPath || devices.some(({ name }) => /^\d/.test(name)) ? "0.5.0" : "0.3.0";
}
