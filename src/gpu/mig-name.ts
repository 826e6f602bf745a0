/**
 * Names of MIG profiles and devices: how they are made, read, and turned into Kubernetes resource names.
 *
 * A name is `[Cc.]Gg.GBgb` with `+me`, `+me.all`, `+gfx` or `-me` behind it; the part `Cc.` stands only where a compute
 * instance is narrower than its GPU instance (NVIDIA go-nvlib, pkg/nvlib/device/mig_profile.go). Names mean nothing
 * without the model: 1g.10gb is the double-memory profile of a 40 GB card and the plain one of an 80 GB card.
 */

/** The parts of a name. */
export interface MigNameParts {
  /** Compute slices of the compute instance; equal to `gpuSlices` when it takes the whole GPU instance. */
  readonly computeSlices: number;
  /** Compute slices of the GPU instance. */
  readonly gpuSlices: number;
  readonly gigabytes: number;
  /** `me`, `me.all`, `gfx`; with the sign in front when the profile lacks it: `-me`. */
  readonly attributes: readonly string[];
}

/**
 * The gigabytes in a name: memory as eighths of the card, rounded up, times the card's GiB, rounded half up.
 *
 * Both figures in MiB as the driver reports them; so the name depends on driver and board, not on the model alone.
 */
export function migGigabytes(instanceMiB: number, cardMiB: number): number {
  return Math.round((Math.ceil((8 * instanceMiB) / cardMiB) / 8) * Math.ceil(cardMiB / 1024));
}

/** The name made of these parts, the way the driver writes it. */
export function migDeviceName({ computeSlices, gpuSlices, gigabytes, attributes }: MigNameParts): string {
  const compute = computeSlices === gpuSlices ? "" : `${computeSlices}c.`;
  const lacked = attributes.filter((one) => one.startsWith("-")).map((one) => one.slice(1));
  const had = attributes.filter((one) => !one.startsWith("-"));
  const signed = (sign: string, names: readonly string[]): string =>
    names.length === 0 ? "" : `${sign}${names.toSorted().join(",")}`;
  return `${compute}${gpuSlices}g.${gigabytes}gb${signed("+", had)}${signed("-", lacked)}`;
}

const nameForm = /^(?:([0-9]+)c\.)?([0-9]+)g\.([0-9]+)gb(?:([+-])(.+))?$/;
const attributeForm = /^[a-zA-Z](?:[a-zA-Z0-9.]*[a-zA-Z0-9])?$/;

/** The parts of a name, `undefined` when it is not written like one. */
export function parseMigProfileName(name: string): MigNameParts | undefined {
  const match = nameForm.exec(name);
  if (match === null) return undefined;
  const [, compute, gpu = "", gigabytes = "", sign, list] = match;
  const names = list?.split(",") ?? [];
  if (new Set(names).size < names.length || !names.every((one) => attributeForm.test(one))) return undefined;
  return {
    computeSlices: Number(compute ?? gpu),
    gpuSlices: Number(gpu),
    gigabytes: Number(gigabytes),
    attributes: sign === "-" ? names.map((one) => `-${one}`) : names,
  };
}

/** The name as the driver writes it, `1g.5gb` for `1c.1g.5gb`; `undefined` when it is not written like a name. */
export function canonicalMigProfileName(name: string): string | undefined {
  const parts = parseMigProfileName(name);
  return parts === undefined ? undefined : migDeviceName(parts);
}

/** The resource a MIG device of this name is offered as under strategy mixed: `nvidia.com/mig-1g.10gb.me`. */
export function resourceNameOf(profileName: string): string {
  return `nvidia.com/mig-${profileName.replaceAll("+", ".")}`;
}

/** The name NVML and CUDA give a MIG device: `NVIDIA A30 MIG 1g.6gb`. */
export function migProductName(gpuName: string, profileName: string): string {
  return `${gpuName} MIG ${profileName}`;
}
