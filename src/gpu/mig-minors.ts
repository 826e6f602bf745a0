/**
 * The minor numbers that the driver gives to the capability files of MIG, the same on every machine.
 */

/** GPU instances that a GPU can number, and compute instances that each of those can. */
const instanceIds = 15;
const computeIds = 8;
/** After `config` and `monitor`. */
const firstMinor = 3;

/** A table has a thousand names for eight GPUs, and every simulated node of a fleet asks for the same few. */
const tables = new Map<string, ReadonlyMap<string, number>>();

/**
 * What `/proc/driver/nvidia-caps/mig-minors` says for the GPUs with these minor numbers: `gpu0/gi1/ci0/access` to 13
 * (NVIDIA open-gpu-kernel-modules, nv-caps.c, which numbers GPU by GPU and instance by instance).
 */
export function migCapabilityMinors(gpuMinors: readonly number[]): ReadonlyMap<string, number> {
  const key = gpuMinors.join();
  const table = tables.get(key) ?? capabilityTable(gpuMinors);
  tables.set(key, table);
  return table;
}

function capabilityTable(gpuMinors: readonly number[]): ReadonlyMap<string, number> {
  const minors = new Map([
    ["config", 1],
    ["monitor", 2],
  ]);
  for (const gpu of gpuMinors) {
    for (let instance = 0; instance < instanceIds; instance += 1) {
      const access = firstMinor + (gpu * instanceIds + instance) * (computeIds + 1);
      minors.set(`gpu${gpu}/gi${instance}/access`, access);
      for (let compute = 0; compute < computeIds; compute += 1) {
        minors.set(`gpu${gpu}/gi${instance}/ci${compute}/access`, access + 1 + compute);
      }
    }
  }
  return minors;
}
