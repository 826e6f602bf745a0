/**
 * What CDI specs let a runtime do to a container: which files it brings in, and which hooks it calls.
 *
 * Files, options and hooks as NVIDIA nvidia-container-toolkit pkg/nvcdi and internal/discover choose them.
 */
import { basename, dirname } from "node:path";
import type { Gpu } from "../gpu/index.ts";
import type { CdiDeviceNode, CdiEdits, CdiHook, CdiMount } from "./cdi-types.ts";
import { type HostFiles, under } from "./host-files.ts";

/** The flags that CDI specs depend on. */
export interface CdiSettings {
  readonly nvidiaDriverRoot: string;
  readonly nvidiaDevRoot: string;
  /** On the host: `nvidia-ctk` or `nvidia-cdi-hook`. */
  readonly nvidiaCtkPath: string;
  /** Names of hooks that are left out; default none. */
  readonly disabledHooks?: ReadonlySet<string>;
}

/** Of what the edits are made. */
export interface EditSources {
  readonly settings: CdiSettings;
  readonly host: HostFiles;
  readonly driverVersion: string;
}

/** Device files that every GPU container needs beside its GPU's own, in the order NVIDIA passes them. */
export const controlNodes: readonly string[] = [
  "/dev/nvidiactl",
  "/dev/nvidia-uvm",
  "/dev/nvidia-uvm-tools",
  "/dev/nvidia-modeset",
];

const mountOptions: readonly string[] = ["ro", "nosuid", "nodev", "rbind", "rprivate"];
const socketOptions: readonly string[] = [...mountOptions, "noexec"];

/**
 * What every container with a GPU gets. `NVIDIA_VISIBLE_DEVICES=void` keeps NVIDIA's runtime hook from bringing in GPUs
 * a second time.
 */
export function commonEdits(sources: EditSources): CdiEdits {
  const { settings, host, driverVersion } = sources;
  const root = settings.nvidiaDriverRoot;
  return withoutEmpty({
    env: ["NVIDIA_VISIBLE_DEVICES=void"],
    deviceNodes: controlNodes.filter((path) => host.deviceNodes.has(path)).map((path) => deviceNode(path, settings)),
    mounts: [
      ...[...host.libraries, ...host.programs].map((path) => fileMount(path, root)),
      ...host.sockets.map((path) => ({ ...fileMount(path, root), options: socketOptions })),
    ],
    hooks: [
      ...symlinks(libraryLinks(host.libraries, driverVersion), settings),
      ...(host.libraries.length === 0 ? [] : libraryHooks(host.libraries, sources)),
      ...hook("disable-device-node-modification", [], settings),
    ],
  });
}

/** What a container with this GPU gets; on a whole one also its DRM devices, by their paths and by PCI address. */
export function gpuEdits(gpu: Gpu, paths: readonly string[], { settings, host }: EditSources): CdiEdits {
  const drm = host.drmNodes.get(gpu.pci.busId) ?? [];
  const links = drm.map((path) => {
    const kind = basename(path).startsWith("render") ? "render" : "card";
    return `../${basename(path)}::/dev/dri/by-path/pci-${gpu.pci.busId}-${kind}`;
  });
  return withoutEmpty({
    deviceNodes: [...paths, ...drm].map((path) => deviceNode(path, settings)),
    hooks: symlinks(links, settings),
  });
}

/** Device files and mounts that exist on the host, as they are. */
export function fileEdits(
  paths: readonly string[],
  mounts: readonly string[],
  settings: Pick<CdiSettings, "nvidiaDevRoot">,
): CdiEdits {
  return withoutEmpty({
    deviceNodes: paths.map((path) => deviceNode(path, settings)),
    mounts: mounts.map((path) => fileMount(path, "/")),
  });
}

function deviceNode(path: string, { nvidiaDevRoot }: Pick<CdiSettings, "nvidiaDevRoot">): CdiDeviceNode {
  const hostPath = under(nvidiaDevRoot, path);
  return hostPath === path ? { path } : { path, hostPath };
}

function fileMount(path: string, root: string): CdiMount {
  return { hostPath: under(root, path), containerPath: path, options: mountOptions };
}

/** The names by which programs look for libraries that carry no such name themselves, and the linker does not make. */
function libraryLinks(libraries: readonly string[], driverVersion: string): readonly string[] {
  const linked: Readonly<Record<string, readonly [target: string, link: string]>> = {
    [`libcuda.so.${driverVersion}`]: ["libcuda.so.1", "libcuda.so"],
    [`libnvidia-opticalflow.so.${driverVersion}`]: ["libnvidia-opticalflow.so.1", "libnvidia-opticalflow.so"],
    [`libGLX_nvidia.so.${driverVersion}`]: [`libGLX_nvidia.so.${driverVersion}`, "libGLX_indirect.so.0"],
  };
  return libraries.flatMap((path) => {
    const [target, link] = linked[basename(path)] ?? [];
    return target === undefined ? [] : [`${target}::${dirname(path)}/${link}`];
  });
}

function libraryHooks(libraries: readonly string[], { settings, driverVersion }: EditSources): readonly CdiHook[] {
  const folders = [...new Set(libraries.map((path) => dirname(path)))].sort();
  return [
    ...hook("enable-cuda-compat", [`--host-driver-version=${driverVersion}`], settings),
    ...hook(
      "update-ldcache",
      folders.flatMap((folder) => ["--folder", folder]),
      settings,
    ),
  ];
}

function symlinks(links: readonly string[], settings: CdiSettings): readonly CdiHook[] {
  if (links.length === 0) return [];
  return hook(
    "create-symlinks",
    links.flatMap((link) => ["--link", link]),
    settings,
  );
}

/** None if it is left out. `nvidia-ctk` has hooks below a word of its own, `nvidia-cdi-hook` is nothing but hooks. */
function hook(
  name: string,
  args: readonly string[],
  { nvidiaCtkPath, disabledHooks }: CdiSettings,
): readonly CdiHook[] {
  if (disabledHooks?.has(name) === true) return [];
  const program = basename(nvidiaCtkPath);
  const words = program === "nvidia-ctk" ? [program, "hook", name] : [program, name];
  return [{ hookName: "createContainer", path: nvidiaCtkPath, args: [...words, ...args] }];
}

function withoutEmpty(edits: CdiEdits): CdiEdits {
  return Object.fromEntries(Object.entries(edits).filter(([, list]) => list.length > 0));
}
