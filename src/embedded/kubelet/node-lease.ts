/**
 * The kubelet's sign of life: a Lease per node, made at its start and renewed every ten seconds (KEP-589).
 *
 * Figures as in Kubernetes pkg/kubelet/kubelet.go and component-helpers/apimachinery/lease: 40 s, renewed after a quarter
 * of it. Each node has a moment of its own within the ten seconds, by its name, so that a fleet renews evenly.
 */
import { createHash } from "node:crypto";
import { type Clock, errorText, type Logger } from "../../base/index.ts";
import { BackOff, hasStatus, type KubeApi, type Lease, type Node, resources } from "../../kube/index.ts";

/** Where nodes keep their leases. */
export const nodeLeaseNamespace = "kube-node-lease";

const leaseDurationSeconds = 40;
const renewEveryMs = 10_000;
const backOffSettings = { initialMs: 200, maximumMs: 7_000, steadyMs: renewEveryMs };

export interface NodeLeaseOptions {
  readonly api: Pick<KubeApi, "create" | "mergePatch">;
  readonly clock: Clock;
  readonly log: Logger;
}

export class NodeLease {
  readonly #options: NodeLeaseOptions;

  constructor(options: NodeLeaseOptions) {
    this.#options = options;
  }

  /** Keeps the lease of a registered node until the signal fires; never rejects. */
  async run(node: Node, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    const backOff = new BackOff(Math.random, backOffSettings);
    const { name } = node.metadata;
    const phaseMs = createHash("sha256").update(name).digest().readUInt32BE() % renewEveryMs;
    let isNew = true;
    while (!signal.aborted) {
      let waitMs = renewEveryMs - ((clock.now() + phaseMs) % renewEveryMs);
      try {
        await (isNew ? this.#take(node) : this.#renew(node));
        isNew = false;
        backOff.clear();
      } catch (error) {
        // Somebody deleted it: it is made again.
        isNew ||= hasStatus(error, 404);
        if (!signal.aborted) log.warn({ node: name, problem: errorText(error) }, "node lease not renewed");
        waitMs = backOff.afterTry(0);
      }
      await clock.sleep(waitMs, signal).catch(() => {});
    }
  }

  async #take(node: Node): Promise<void> {
    const { name, uid = "" } = node.metadata;
    const lease: Lease = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: {
        name,
        namespace: nodeLeaseNamespace,
        ownerReferences: [{ apiVersion: node.apiVersion, kind: node.kind, name, uid }],
      },
      spec: { holderIdentity: name, leaseDurationSeconds, renewTime: this.#now() },
    };
    try {
      await this.#options.api.create(resources.leases, lease);
    } catch (error) {
      if (!hasStatus(error, 409)) throw error;
      const { metadata, spec } = lease;
      const patch = { metadata: { ownerReferences: metadata.ownerReferences }, spec };
      await this.#options.api.mergePatch(resources.leases, metadata, patch);
    }
  }

  async #renew(node: Node): Promise<void> {
    const ref = { namespace: nodeLeaseNamespace, name: node.metadata.name };
    await this.#options.api.mergePatch(resources.leases, ref, { spec: { renewTime: this.#now() } });
  }

  /** A MicroTime of the API. */
  #now(): string {
    return new Date(this.#options.clock.now()).toISOString().replace("Z", "000Z");
  }
}
