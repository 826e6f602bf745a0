/**
 * Reads what a node has for its containers: device files, the driver's files, the table of MIG capabilities.
 *
 * What is looked for is what NVIDIA nvidia-container-toolkit pkg/nvcdi looks for in a driver's root.
 */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Gpu } from "../gpu/index.ts";
import { type HostFiles, parseMigMinors } from "../sharing/index.ts";
import type { FileRoots, ReadHostFiles } from "./container-side.ts";

const libraryFolders: readonly string[] = [
  "/usr/lib/x86_64-linux-gnu",
  "/usr/lib/x86_64-linux-gnu/vdpau",
  "/usr/lib/aarch64-linux-gnu",
  "/usr/lib/aarch64-linux-gnu/vdpau",
  "/usr/lib64",
  "/usr/lib64/vdpau",
  "/usr/lib",
];
const programFiles: readonly string[] = [
  "/usr/bin/nvidia-smi",
  "/usr/bin/nvidia-debugdump",
  "/usr/bin/nvidia-persistenced",
  "/usr/bin/nvidia-cuda-mps-control",
  "/usr/bin/nvidia-cuda-mps-server",
];
const socketFiles: readonly string[] = [
  "/run/nvidia-persistenced/socket",
  "/run/nvidia-fabricmanager/socket",
  "/tmp/nvidia-mps",
];
const storageFiles: readonly string[] = ["/run/udev", "/etc/cufile.json"];

export interface HostFilesOptions {
  /** Where the machine's `/` stands for the agent; `/` unless it is mounted elsewhere. */
  readonly root: string;
  readonly driverVersion: string;
}

/** A reader of the files of the machine at `root`. */
export function hostFilesReader({ root, driverVersion }: HostFilesOptions): ReadHostFiles {
  return async (roots, gpus) => {
    const driver = await driverRoot(root, roots);
    const devices = await firstWith(
      [driver, join(root, roots.nvidiaDevRoot)].map((one) => join(one, "dev")),
      "nvidiactl",
    );
    const firmware = `/lib/firmware/nvidia/${driverVersion}`;
    const firmwareFiles = (await names(join(driver, firmware))).filter((name) => /^gsp.*\.bin$/.test(name));
    return {
      deviceNodes: await deviceNodes(devices ?? join(root, "dev")),
      migMinors: parseMigMinors(await text(join(root, "proc/driver/nvidia-caps/mig-minors"))),
      drmNodes: await drmNodes(root, gpus),
      libraries: await libraries(driver, driverVersion),
      programs: [...(await existing(driver, programFiles)), ...firmwareFiles.map((name) => `${firmware}/${name}`)],
      sockets: await existing(driver, socketFiles),
      storageFiles: await existing(root, storageFiles),
    };
  };
}

/** In a container the driver's root is mounted; elsewhere it is where the flags say. */
async function driverRoot(root: string, { nvidiaDriverRoot, containerDriverRoot }: FileRoots): Promise<string> {
  const mounted = await exists(join(containerDriverRoot, "usr"));
  return mounted ? containerDriverRoot : join(root, nvidiaDriverRoot);
}

async function deviceNodes(folder: string): Promise<ReadonlySet<string>> {
  const wanted: readonly (readonly [folder: string, pattern: RegExp])[] = [
    ["", /^(nvidia[-\w]*|gdrdrv)$/],
    ["infiniband", /^(uverbs\d+|rdma_cm)$/],
    ["nvidia-caps-imex-channels", /^channel\d+$/],
  ];
  const found: string[] = [];
  for (const [below, pattern] of wanted) {
    const entries = await readdir(join(folder, below), { withFileTypes: true }).catch(() => []);
    const files = entries.filter((entry) => !entry.isDirectory() && pattern.test(entry.name));
    found.push(...files.map(({ name }) => join("/dev", below, name)).sort());
  }
  return new Set(found);
}

/** The kernel lists a GPU's DRM devices below its PCI device. */
async function drmNodes(root: string, gpus: readonly Gpu[]): Promise<HostFiles["drmNodes"]> {
  const nodes = new Map<string, readonly string[]>();
  for (const { pci } of gpus) {
    const found = await names(join(root, "sys/bus/pci/devices", pci.busId, "drm"));
    const paths = found.filter((name) => /^(card|renderD)\d+$/.test(name)).map((name) => `/dev/dri/${name}`);
    if (paths.length > 0) nodes.set(pci.busId, paths.sort());
  }
  return nodes;
}

async function libraries(driver: string, version: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const folder of libraryFolders) {
    const own = (await names(join(driver, folder))).filter(
      (name) => name.startsWith("lib") && name.endsWith(`.so.${version}`),
    );
    found.push(...own.sort().map((name) => `${folder}/${name}`));
  }
  return found;
}

async function existing(root: string, paths: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(paths.map((path) => exists(join(root, path))));
  return paths.filter((_, at) => found[at]);
}

async function firstWith(folders: readonly string[], name: string): Promise<string | undefined> {
  for (const folder of folders) if (await exists(join(folder, name))) return folder;
  return undefined;
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function names(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch(() => []);
}

function text(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}
