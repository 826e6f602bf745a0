/** A node's files as tests need them, CDI specs of small nodes, and the rules that every spec must keep. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Ajv } from "ajv";
import { type Gpu, migCapabilityMinors } from "../../src/gpu/index.ts";
import {
  type CdiSpec,
  type CdiSpecs,
  type CdiSpecsRequest,
  cdiSpecs,
  controlNodes,
  type HostFiles,
} from "../../src/sharing/index.ts";
import { settings } from "./fixtures.ts";

export const DRIVER_VERSION = "580.95.05";
const libraryFolder = "/usr/lib/x86_64-linux-gnu";

/** A node with everything that can be looked for. */
export const richHost: HostFiles = {
  deviceNodes: new Set([
    ...controlNodes,
    "/dev/nvidia-fs0",
    "/dev/nvidia-fs1",
    "/dev/gdrdrv",
    "/dev/infiniband/uverbs0",
    "/dev/infiniband/rdma_cm",
    "/dev/nvidia-caps-imex-channels/channel0",
  ]),
  migMinors: migCapabilityMinors([0, 1, 2, 3, 4, 5, 6, 7]),
  drmNodes: new Map([["0000:07:00.0", ["/dev/dri/card1", "/dev/dri/renderD128"]]]),
  libraries: [`${libraryFolder}/libcuda.so.${DRIVER_VERSION}`, `${libraryFolder}/libnvidia-ml.so.${DRIVER_VERSION}`],
  programs: ["/usr/bin/nvidia-smi", `/lib/firmware/nvidia/${DRIVER_VERSION}/gsp_ga10x.bin`],
  sockets: ["/run/nvidia-persistenced/socket"],
  storageFiles: ["/run/udev", "/etc/cufile.json"],
};

export const cdiSettings: CdiSpecsRequest["settings"] = {
  ...settings,
  deviceListStrategy: ["cdi-cri"],
  nvidiaDriverRoot: "/",
  nvidiaCtkPath: "/usr/bin/nvidia-ctk",
};

/** The specs for all devices of `gpus`, or for those in `offered`. */
export function specsOf(gpus: readonly Gpu[], request: Partial<CdiSpecsRequest> = {}): CdiSpecs {
  const parts = gpus.flatMap(({ instances }) => instances.flatMap((one) => one.computeInstances));
  return cdiSpecs({
    gpus,
    offered: new Set([...gpus, ...parts].map(({ uuid }) => uuid)),
    settings: cdiSettings,
    host: richHost,
    driverVersion: DRIVER_VERSION,
    imexChannels: [],
    ...request,
  });
}

const schema = new Ajv({ strict: true }).compile(
  JSON.parse(readFileSync(new URL("../fixtures/cdi-schema.json", import.meta.url), "utf8")),
);

/** Fails unless a runtime would take the spec: its schema, unique names, and a version that knows its content. */
export function assertValidSpec(spec: CdiSpec): void {
  assert.ok(schema(JSON.parse(JSON.stringify(spec))), JSON.stringify([schema.errors, spec]));
  const names = spec.devices.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length, `names stand twice: ${names.join()}`);
  const edits = [spec.containerEdits, ...spec.devices.map((one) => one.containerEdits)];
  const newer =
    names.some((name) => /^[0-9]/.test(name)) ||
    edits.some((one) => one?.deviceNodes?.some((node) => node.hostPath !== undefined));
  assert.equal(spec.cdiVersion, newer ? "0.5.0" : "0.3.0");
}
