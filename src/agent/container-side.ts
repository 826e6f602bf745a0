/**
 * What containers are given beside the ids of their devices: the node's files, and CDI specs that describe them.
 *
 * Specs change in two steps around a change of offers, so that no name is ever offered, or held by a container that may
 * start again, which a runtime cannot resolve: what comes is described before it is offered, and what goes stays
 * described until no pod holds it. They stay when the agent ends, for the same reason.
 */
import { errorText, type Finding, finding, type Logger } from "../base/index.ts";
import type { ImexConfig } from "../config/index.ts";
import type { Gpu, GpuDriver } from "../gpu/index.ts";
import { CdiDirectory } from "../kubelet/index.ts";
import {
  type AllocateRequest,
  type CdiSpecs,
  type CdiSpecsRequest,
  cdiDeviceName,
  cdiSpecs,
  type HostFiles,
  imexChannelPath,
  isCdi,
  nodeDevices,
  type Offer,
  presentExtras,
  sameSpecs,
  withKept,
} from "../sharing/index.ts";
import type { HolderBook } from "./holders.ts";

/** The roots below which a node's files stand, as the flags have them. */
export interface FileRoots {
  readonly nvidiaDriverRoot: string;
  readonly nvidiaDevRoot: string;
  /** Where the driver's root is mounted when the agent runs in a container. */
  readonly containerDriverRoot: string;
}

/** Reads the node's files; what is not there is left out. */
export type ReadHostFiles = (roots: FileRoots, gpus: readonly Gpu[]) => Promise<HostFiles>;

export interface ContainerSideOptions {
  readonly node: string;
  /** It may come late, or in another version. */
  readonly driver: Pick<GpuDriver, "driverVersion">;
  /** Where container runtimes look for CDI specs. */
  readonly cdiDirectory: string;
  readonly holders: Pick<HolderBook, "holders">;
  readonly log: Logger;
}

/** What is about to be offered. */
export interface Offered {
  readonly gpus: readonly Gpu[];
  readonly offers: readonly Offer[];
  readonly settings: CdiSpecsRequest["settings"];
  readonly imex: ImexConfig;
  readonly host: HostFiles;
}

/** What Allocate answers with beside devices. */
export type NodeFacts = Pick<AllocateRequest, "presentControlNodes" | "cdiExtras" | "imexChannels">;

export interface Prepared {
  readonly facts: NodeFacts;
  /** UUIDs of devices that a container could not be given. */
  readonly unusable: readonly string[];
  readonly findings: readonly Finding[];
}

/** One per agent. */
export class ContainerSide {
  readonly #options: ContainerSideOptions;
  readonly #directory: CdiDirectory;
  /** What shall stand in the end, and which names the devices of the node have. */
  #wanted: { readonly specs: CdiSpecs; readonly uuids: ReadonlyMap<string, string> } | undefined;

  constructor(options: ContainerSideOptions) {
    this.#options = options;
    this.#directory = new CdiDirectory(options.cdiDirectory);
  }

  /** Describes what will be offered, and leaves described what was. Never rejects. */
  async prepare(offered: Offered): Promise<Prepared> {
    const { host, settings, imex } = offered;
    const channels = imex.channelIds.filter((channel) => host.deviceNodes.has(imexChannelPath(channel)));
    const missing = imex.channelIds.filter((channel) => !channels.includes(channel));
    const findings = missing.map((channel) => this.#channelMissing(channel, imex));
    const uuids = offered.offers.flatMap(({ devices }) => devices.map((one) => one.uuid));
    const specs = cdiSpecs({
      ...offered,
      driverVersion: this.#options.driver.driverVersion,
      offered: new Set(uuids),
      imexChannels: channels,
    });
    this.#wanted = { specs, uuids: uuidsByName(offered) };
    const { described, failure } = await this.#widen(specs);
    if (failure !== undefined) findings.push(failure);
    const barred = imex.required && missing.length > 0;
    return {
      facts: {
        presentControlNodes: host.deviceNodes,
        cdiExtras: new Set(presentExtras(host, settings)),
        imexChannels: channels,
      },
      unusable: barred ? uuids : this.#undescribed(offered, described),
      findings,
    };
  }

  /** Takes away what is neither offered nor held; called when the offers have changed. Never rejects. */
  async settle(): Promise<void> {
    if (this.#wanted === undefined) return;
    const { specs, uuids } = this.#wanted;
    const present = await this.#directory.read();
    if (sameSpecs(present, specs)) return;
    try {
      const held = new Set((await this.#options.holders.holders()).keys());
      const keeps = (cdiClass: string, name: string): boolean =>
        cdiClass === "gpu" ? held.has(uuids.get(name) ?? "") : held.size > 0;
      const next = withKept(specs, present, keeps);
      if (!sameSpecs(present, next)) await this.#directory.write(next);
    } catch (error) {
      // The kubelet does not tell who holds what, or the disk is full: what is described too much does no harm.
      this.#options.log.info({ node: this.#options.node, error: errorText(error) }, "CDI specs not narrowed");
    }
  }

  /** What is described afterwards. */
  async #widen(specs: CdiSpecs): Promise<{ readonly described: CdiSpecs; readonly failure: Finding | undefined }> {
    const present = await this.#directory.read();
    const next = withKept(specs, present, () => true);
    if (sameSpecs(present, next)) return { described: next, failure: undefined };
    try {
      await this.#directory.write(next);
      return { described: next, failure: undefined };
    } catch (error) {
      return { described: await this.#directory.read(), failure: this.#notWritten(error) };
    }
  }

  /** Offered devices that a runtime would not find by their CDI name. */
  #undescribed({ offers, settings }: Offered, described: CdiSpecs): readonly string[] {
    if (!settings.deviceListStrategy.some(isCdi)) return [];
    const names = new Set(described.get("gpu")?.devices.map(({ name }) => name));
    return offers
      .flatMap(({ devices }) => devices)
      .filter(({ index, uuid }) => !names.has(cdiDeviceName(settings.deviceIdStrategy === "index" ? index : uuid)))
      .map(({ uuid }) => uuid);
  }

  #notWritten(error: unknown): Finding {
    const { node, cdiDirectory } = this.#options;
    return finding(
      "cdi-specs-not-written",
      { kind: "node", name: node },
      `CDI specs cannot be written to ${cdiDirectory} of ${node}: ${errorText(error)}; devices without one are not given to pods`,
      { remedy: "make the directory writable for the agent, or set deviceListStrategy to envvar" },
    );
  }

  #channelMissing(channel: number, { required }: ImexConfig): Finding {
    const { node } = this.#options;
    const seen = `${imexChannelPath(channel)} does not exist on ${node}`;
    return required
      ? finding(
          "imex-channel-missing",
          { kind: "node", name: node },
          `${seen} and imex.required is true; no device is given to pods`,
          { remedy: "create it with nvidia-modprobe -c 0, or set imex.required to false" },
        )
      : finding(
          "imex-channel-skipped",
          { kind: "node", name: node },
          `${seen}; pods get their devices without this channel`,
          { remedy: "create it with nvidia-modprobe -c 0, or remove imex.channelIDs" },
        );
  }
}

/** Every name that a device of the node has or could have, to its UUID. */
function uuidsByName({ gpus, host }: Offered): ReadonlyMap<string, string> {
  const { whole, cut } = nodeDevices(gpus, host.migMinors);
  const devices = [...whole, ...cut.flatMap((one) => one.devices)].map(({ device }) => device);
  return new Map(devices.flatMap(({ uuid, index }) => [[cdiDeviceName(uuid), uuid] as const, [index, uuid] as const]));
}
