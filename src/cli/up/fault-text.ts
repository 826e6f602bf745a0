/**
 * What people are told of a fault: what was done, what shows it, and why one cannot be caused.
 */
import { knownXids, xidMeaning } from "../../agent/index.ts";
import { type Finding, finding } from "../../base/index.ts";
import type { SimulatedBoard } from "../../gpu/index.ts";
import type { FaultReport } from "./control-protocol.ts";
import { durationText } from "./duration.ts";

export function xidRaised(what: {
  readonly node: string;
  readonly gpu: SimulatedBoard;
  readonly xid: number;
  /** `namespace/name` of who holds the GPU or a part of it. */
  readonly pods: readonly string[];
}): FaultReport {
  const { node, gpu, xid, pods } = what;
  const name = `${node} GPU ${gpu.index}`;
  const { text } = xidMeaning(xid);
  const held = pods.length === 0 ? "no pod holds it" : `it is held by ${pods.join(", ")}`;
  const back = xid === 79 ? [`it stays away until the node is rebooted: tranche fault node-reboot ${node}`] : [];
  return {
    done: [`${name} (${gpu.name}) raised XID ${xid}: ${text}`, held, ...back],
    lookAt: [...nodeEvents(node), `kubectl describe node ${node}`, podsOn(node)],
  };
}

export function driverNotLoaded(node: string, forMs: number | undefined): FaultReport {
  const end = forMs === undefined ? `until: tranche fault driver ${node} --end` : `for ${durationText(forMs)}`;
  return {
    done: [`the GPU driver of ${node} is not loaded, ${end}`, "programs that run go on; nothing new gets a GPU there"],
    lookAt: [...nodeEvents(node), `kubectl describe node ${node}`],
  };
}

export function driverEnded(node: string): FaultReport {
  return { done: [`the GPU driver of ${node} is loaded again`], lookAt: nodeEvents(node) };
}

export function kubeletRestarted(node: string): FaultReport {
  return {
    done: [
      `the kubelet of ${node} was restarted: its sockets and those of the device plugins were gone, containers ran on`,
    ],
    lookAt: [...nodeEvents(node), podsOn(node)],
  };
}

export function nodeRebooted(node: string): FaultReport {
  return {
    done: [
      `${node} was rebooted: its containers ended, its MIG instances are gone, its agent cuts the GPUs again`,
      "a pod with GPUs is refused then, since the kubelet sees it before any plugin; its controller makes another",
    ],
    lookAt: [...nodeEvents(node), podsOn(node)],
  };
}

export function apiAway(url: string, forMs: number): FaultReport {
  return {
    done: [
      `the API server at ${url} refuses connections for ${durationText(forMs)}`,
      "pods run on; nothing is scheduled or changed until it is back",
    ],
    lookAt: ["kubectl get pods", "kubectl get events --field-selector reason=APIServerOutage"],
  };
}

/** The event about an outage, as it can be written only afterwards. A real cluster has none of this kind. */
export function apiWasAway(forMs: number): { readonly reason: string; readonly message: string } {
  return {
    reason: "APIServerOutage",
    message: `the API server refused connections for ${durationText(forMs)}, as asked by tranche fault`,
  };
}

export function noSuchNode(name: string, nodes: readonly { readonly name: string }[]): Finding {
  const remedy = `choose one of: ${nodes.map((one) => one.name).join(", ")}`;
  return finding("no-such-node", { kind: "node", name }, `the cluster has no node ${name}`, { remedy });
}

export function noSuchGpu(node: string, index: number, gpus: readonly SimulatedBoard[]): Finding {
  const name = `${node} GPU ${index}`;
  const list = gpus.map((one) => `${node}/${one.index} (${one.name})`).join(", ");
  const remedy = list === "" ? "choose a node with GPUs" : `choose one of: ${list}`;
  return finding("no-such-gpu", { kind: "gpu", name }, `${node} has no GPU ${index}`, { remedy });
}

export function unknownXid(xid: number): Finding {
  const list = knownXids.map((one) => `${one} (${xidMeaning(one).text})`).join(", ");
  const message = `NVIDIA's catalogue has no XID ${xid} that today's GPUs raise`;
  return finding("unknown-xid", { kind: "command", name: `--xid ${xid}` }, message, {
    remedy: `choose one of: ${list}`,
  });
}

export function faultRefused(name: string, message: string, remedy: string): Finding {
  return finding("fault-refused", { kind: "cluster", name }, message, { remedy });
}

function nodeEvents(node: string): readonly string[] {
  return [`kubectl get events --field-selector involvedObject.name=${node}`];
}

function podsOn(node: string): string {
  return `kubectl get pods -A --field-selector spec.nodeName=${node}`;
}
