/**
 * What a simulated machine has for its containers: the device files that the driver makes, and none of its libraries.
 */
import type { ReadHostFiles } from "../../agent/index.ts";
import { migCapabilityMinors } from "../../gpu/index.ts";
import { controlNodes, noHostFiles } from "../../sharing/index.ts";

/** The device files of a machine with these GPUs. */
export const simulatedHostFiles: ReadHostFiles = async (_roots, gpus) => {
  const minors = gpus.map(({ minor }) => minor);
  return {
    ...noHostFiles,
    deviceNodes: new Set([...controlNodes, ...minors.map((minor) => `/dev/nvidia${minor}`)]),
    migMinors: migCapabilityMinors(minors),
  };
};
