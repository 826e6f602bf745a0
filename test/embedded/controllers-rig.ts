/** Controllers and an API server, with a clock that stands still and nobody who runs pods. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { VirtualClock } from "../../src/base/index.ts";
import { Controllers } from "../../src/embedded/index.ts";
import {
  type Condition,
  type KubeApi,
  type KubeClient,
  type KubeEvent,
  type KubeObject,
  type Pod,
  type PodStatus,
  type ResourceType,
  resources,
} from "../../src/kube/index.ts";
import { until } from "../support/until.ts";
import { startHarness } from "./api-support.ts";

/** Where everything is. */
export const namespace = "default";
const budgets: ResourceType = {
  group: "policy",
  version: "v1",
  plural: "poddisruptionbudgets",
  kind: "PodDisruptionBudget",
  namespaced: true,
};

/** An object whose status tests look into. */
export interface Stated extends KubeObject {
  readonly status?: { readonly [key: string]: unknown; readonly conditions?: readonly Condition[] };
}

/** An API server with controllers. */
export class Rig {
  readonly clock: VirtualClock;
  readonly client: KubeClient;
  readonly #revision: () => string;
  #controllers: Controllers | undefined;

  constructor(client: KubeClient, clock: VirtualClock, revision: () => string) {
    this.client = client;
    this.clock = clock;
    this.#revision = revision;
  }

  start(api: KubeApi = this.client): void {
    this.#controllers = new Controllers(api, { clock: this.clock, random: () => 0.5 });
    this.#controllers.start();
  }

  async stop(): Promise<void> {
    await this.#controllers?.stop();
  }

  /** Lets little time pass, until nothing is written any more. */
  async rest(): Promise<void> {
    let quiet = 0;
    let revision = this.#revision();
    await until("the controllers rest", async () => {
      await this.clock.advance(50);
      quiet = this.#controllers?.idle() === true && revision === this.#revision() ? quiet + 1 : 0;
      revision = this.#revision();
      return quiet > 4;
    });
  }

  async apply(apiVersion: string, kind: string, name: string, spec: object): Promise<void> {
    await this.client.create(typeOf(kind), objectOf(apiVersion, kind, name, spec));
    await this.rest();
  }

  async get(kind: string, name: string): Promise<Stated> {
    return await this.client.get<Stated>(typeOf(kind), { namespace, name });
  }

  async status(kind: string, name: string): Promise<NonNullable<Stated["status"]>> {
    return (await this.get(kind, name)).status ?? {};
  }

  async condition(kind: string, name: string, type: string): Promise<Condition | undefined> {
    return (await this.status(kind, name)).conditions?.find((one) => one.type === type);
  }

  async patch(kind: string, name: string, patch: object): Promise<void> {
    await this.client.mergePatch(typeOf(kind), { namespace, name }, patch);
    await this.rest();
  }

  async pods(): Promise<readonly Pod[]> {
    return (await this.client.list<Pod>(resources.pods, { namespace })).items;
  }

  async names(): Promise<readonly string[]> {
    return (await this.pods()).map((pod) => pod.metadata.name).sort();
  }

  /** What a kubelet would write. */
  async setStatus(pod: Pod, status: PodStatus): Promise<void> {
    await this.client.mergePatch(resources.pods, pod.metadata, { status }, { subresource: "status" });
  }

  async end(pod: Pod, phase: "Succeeded" | "Failed"): Promise<void> {
    const startTime = new Date(this.clock.now()).toISOString().replace(/\.\d+Z$/, "Z");
    await this.setStatus(pod, { phase, startTime });
  }

  async makeReady(): Promise<void> {
    const lastTransitionTime = new Date(this.clock.now()).toISOString().replace(/\.\d+Z$/, "Z");
    for (const pod of await this.pods()) {
      if (pod.status?.phase !== "Pending") continue;
      await this.setStatus(pod, {
        phase: "Running",
        conditions: [{ type: "Ready", status: "True", lastTransitionTime }],
      });
    }
    await this.rest();
  }

  async events(reason: string): Promise<readonly string[]> {
    const { items } = await this.client.list<KubeEvent>(resources.events);
    return items.filter((one) => one.reason === reason).map((one) => one.message);
  }
}

function typeOf(kind: string): ResourceType {
  const found = [...Object.values(resources), budgets].find((one) => one.kind === kind);
  assert.ok(found, kind);
  return found;
}

function objectOf(apiVersion: string, kind: string, name: string, spec: object): KubeObject {
  return Object.assign({ apiVersion, kind, metadata: { name, namespace } }, { spec });
}

/** Runs `body` with a rig whose controllers are to be started. */
export async function withRig(t: TestContext, body: (rig: Rig) => Promise<void>): Promise<void> {
  const clock = new VirtualClock(Date.parse("2026-01-01T12:00:00Z"));
  const harness = await startHarness({ clock });
  const rig = new Rig(harness.client, clock, () => harness.server.resourceVersion());
  t.after(async () => {
    await rig.stop();
    await harness.stop();
  });
  await body(rig);
}

/** Of every pod here. */
export const containers = [{ name: "main", image: "registry.example/app:1" }];
/** A template of pods with these labels. */
export const template = (labels: object, more: object = {}) => ({
  metadata: { labels },
  spec: { containers, ...more },
});
/** So many pods labelled `app=web`. */
export const setSpec = (replicas: number) => ({
  replicas,
  selector: { matchLabels: { app: "web" } },
  template: template({ app: "web" }),
});
/** A job whose pods are not started again. */
export const jobSpec = (spec: object) => ({ ...spec, template: template({}, { restartPolicy: "Never" }) });

/** The client with another way to create. */
export function changedApi(
  client: KubeClient,
  create: <T extends KubeObject>(type: ResourceType, object: T) => Promise<T>,
): KubeApi {
  return new Proxy(client, {
    get: (target, property) => {
      if (property === "create") return create;
      const value: unknown = Reflect.get(target, property);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
