/**
 * Makes things go wrong in a running cluster, as asked, and ends what has its time.
 *
 * Each fault happens where it would in a real cluster: in the driver, the kubelet, the machine or the API server. What
 * Kubernetes shows of it comes from those who notice, except for an outage of the API server, which nobody else tells.
 */
import { knownXids } from "../../agent/index.ts";
import { type Clock, errorText, type Finding, type Logger } from "../../base/index.ts";
import { type KubeObject, recordEvent, resources } from "../../kube/index.ts";
import type { Cluster } from "./cluster.ts";
import type { ClusterNode } from "./cluster-node.ts";
import type { Fault, FaultAnswer, FaultReport } from "./control-protocol.ts";
import { durationText } from "./duration.ts";
import {
  apiAway,
  apiWasAway,
  driverEnded,
  driverNotLoaded,
  faultRefused,
  kubeletRestarted,
  nodeRebooted,
  noSuchGpu,
  noSuchNode,
  unknownXid,
  xidRaised,
} from "./fault-text.ts";

/** Between two tries to tell of an outage. */
const RETRY_MS = 250;
const COMPONENT = "tranche";

export interface FaultsOptions {
  readonly cluster: Pick<Cluster, "nodes" | "api" | "client">;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Lives until `close`, which ends every fault that has an end. */
export class Faults {
  readonly #options: FaultsOptions;
  readonly #closing = new AbortController();
  /** Ends the wait of a driver fault with a time, by node. */
  readonly #waits = new Map<string, AbortController>();
  readonly #tasks = new Set<Promise<void>>();
  #outageEndsMs: number | undefined;

  constructor(options: FaultsOptions) {
    this.#options = options;
  }

  /** Makes it happen and tells what was done; a fault that cannot happen is refused and changes nothing. */
  async cause(fault: Fault): Promise<FaultAnswer> {
    if (fault.kind === "api-outage") return this.#apiOutage(fault.forMs);
    const { nodes } = this.#options.cluster;
    const node = nodes.find((one) => one.name === fault.node);
    if (node === undefined) return refused(noSuchNode(fault.node, nodes));
    switch (fault.kind) {
      case "gpu":
        return await raiseXid(node, fault);
      case "driver":
        return this.#unload(node, fault.forMs);
      case "driver-end":
        return this.#load(node);
      case "kubelet-restart":
        await node.restartKubelet();
        return caused(kubeletRestarted(node.name));
      case "node-reboot":
        await node.reboot();
        return caused(nodeRebooted(node.name));
    }
  }

  /** Ends what is not over yet, and waits for it. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const { driver } of this.#options.cluster.nodes) driver.load();
    await Promise.all(this.#tasks);
  }

  #unload(node: ClusterNode, forMs: number | undefined): FaultAnswer {
    if (!node.driver.loaded) {
      const message = `the driver of ${node.name} is not loaded already`;
      return refused(faultRefused(node.name, message, `load it again with: tranche fault driver ${node.name} --end`));
    }
    node.driver.unload();
    if (forMs !== undefined) this.#own(this.#loadAfter(node, forMs));
    return caused(driverNotLoaded(node.name, forMs));
  }

  #load(node: ClusterNode): FaultAnswer {
    if (node.driver.loaded) {
      const message = `the driver of ${node.name} is loaded, there is nothing to end`;
      return refused(faultRefused(node.name, message, `unload it with: tranche fault driver ${node.name}`));
    }
    this.#waits.get(node.name)?.abort();
    node.driver.load();
    return caused(driverEnded(node.name));
  }

  async #loadAfter(node: ClusterNode, forMs: number): Promise<void> {
    const ended = new AbortController();
    this.#waits.set(node.name, ended);
    try {
      await this.#options.clock.sleep(forMs, AbortSignal.any([ended.signal, this.#closing.signal]));
      node.driver.load();
    } catch (error) {
      if (!ended.signal.aborted && !this.#closing.signal.aborted) throw error;
    } finally {
      if (this.#waits.get(node.name) === ended) this.#waits.delete(node.name);
    }
  }

  #apiOutage(forMs: number): FaultAnswer {
    const { clock, cluster } = this.#options;
    if (this.#outageEndsMs !== undefined) {
      const left = durationText(Math.max(0, this.#outageEndsMs - clock.now()));
      const message = `the API server is away already, for another ${left}`;
      return refused(faultRefused("API server", message, "wait until it is back"));
    }
    this.#outageEndsMs = clock.now() + forMs;
    this.#own(this.#beAway(forMs));
    return caused(apiAway(cluster.api.url, forMs));
  }

  async #beAway(forMs: number): Promise<void> {
    const { cluster, clock, log } = this.#options;
    const { signal } = this.#closing;
    await cluster.api.outage(forMs, signal);
    this.#outageEndsMs = undefined;
    while (!signal.aborted) {
      try {
        const object = await cluster.client.get<KubeObject>(resources.namespaces, { name: "kube-system" }, signal);
        const { reason, message } = apiWasAway(forMs);
        await recordEvent(cluster.client, { object, type: "Warning", reason, message, component: COMPONENT }, clock);
        return;
      } catch (error) {
        if (signal.aborted) return;
        log.debug({ error: errorText(error) }, "outage not told yet");
        await clock.sleep(RETRY_MS, signal).catch(() => {});
      }
    }
  }

  /** Nobody waits for it but `close`; an error in it is a defect and ends the process, as any unhandled one. */
  #own(task: Promise<void>): void {
    this.#tasks.add(task);
    void task.finally(() => this.#tasks.delete(task));
  }
}

async function raiseXid(
  node: ClusterNode,
  { index, xid }: { readonly index: number; readonly xid: number },
): Promise<FaultAnswer> {
  if (!knownXids.includes(xid)) return refused(unknownXid(xid));
  const { driver, name } = node;
  const gpu = driver.boards.find((one) => one.index === index);
  if (gpu === undefined) return refused(noSuchGpu(name, index, driver.boards));
  const subject = `${name} GPU ${index}`;
  if (!driver.loaded) {
    const message = `the driver of ${name} is not loaded, so no GPU of it raises an error`;
    return refused(faultRefused(subject, message, `load it with: tranche fault driver ${name} --end`));
  }
  if (gpu.lost) {
    const message = `${subject} has fallen off the bus, so it raises no error any more`;
    return refused(faultRefused(subject, message, `bring it back with: tranche fault node-reboot ${name}`));
  }
  const pods = await holdersOf(node, gpu.uuid);
  driver.raiseXid({ gpuUuid: gpu.uuid, xid });
  return caused(xidRaised({ node: name, gpu, xid, pods }));
}

/** The pods that hold the GPU or a part of it, sorted. */
async function holdersOf({ driver, kubelet }: ClusterNode, gpuUuid: string): Promise<readonly string[]> {
  const { instances = [] } = (await driver.list()).find((one) => one.uuid === gpuUuid) ?? {};
  const parts = instances.flatMap((one) => one.computeInstances.map((part) => part.uuid));
  const uuids = [gpuUuid, ...parts];
  // A share of a device bears the device's id before its own number.
  const isOfGpu = (id: string): boolean => uuids.some((uuid) => id === uuid || id.startsWith(`${uuid}::`));
  const holding = kubelet.pods().filter((one) => one.deviceIds.some(isOfGpu));
  return [...new Set(holding.map((one) => `${one.namespace}/${one.pod}`))].sort();
}

function caused(report: FaultReport): FaultAnswer {
  return { ok: true, report };
}

function refused(one: Finding): FaultAnswer {
  return { ok: false, findings: [one] };
}
