/** Nodes that fall silent, and what becomes of their pods; the API is in memory. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "../../src/base/index.ts";
import { NodeLifecycle } from "../../src/embedded/index.ts";
import {
  type DeleteOptions,
  KubeError,
  type KubeObject,
  type Node,
  type ObjectRef,
  type Pod,
  type ResourceType,
  resources,
  type Toleration,
  type WriteOptions,
} from "../../src/kube/index.ts";
import { until } from "../support/until.ts";
import { MemoryApi } from "./support/memory-api.ts";

/** Fails the first status write of the pod `first`, and keeps what deletions are bound to. */
class FailingApi extends MemoryApi {
  failures = 0;
  readonly boundTo: (string | undefined)[] = [];

  override async mergePatch<T extends KubeObject>(
    type: ResourceType,
    ref: ObjectRef,
    patch: unknown,
    options: WriteOptions = {},
  ): Promise<T> {
    if (ref.name === "first" && this.failures === 0) {
      this.failures += 1;
      throw new KubeError("out of order", { status: 500, reason: "InternalError" });
    }
    return await super.mergePatch<T>(type, ref, patch, options);
  }

  override async delete(type: ResourceType, ref: ObjectRef, options: DeleteOptions = {}): Promise<void> {
    this.boundTo.push(options.preconditions?.uid);
    await super.delete(type, ref, options);
  }
}

/** A node that says nothing more, with these pods, all ready. */
async function silentNode(names: readonly string[], tolerations: Toleration[]) {
  const clock = new VirtualClock(1_700_000_000_000);
  const api = new FailingApi();
  const status = { conditions: [{ type: "Ready", status: "True" as const }] };
  await api.create<Node>(resources.nodes, { apiVersion: "v1", kind: "Node", metadata: { name: "node-a" }, status });
  for (const name of names) {
    const spec = { nodeName: "node-a", containers: [], tolerations };
    const metadata = { name, namespace: "default" };
    await api.create<Pod>(resources.pods, { apiVersion: "v1", kind: "Pod", metadata, spec, status });
  }
  return { api, clock, lifecycle: new NodeLifecycle(api, { clock }) };
}

function isReady(api: MemoryApi, name: string): boolean {
  return api.pod(name)?.status?.conditions?.some((one) => one.type === "Ready" && one.status === "True") === true;
}

test("a pod that could not be marked not ready is marked later, also after an outage, and holds up no other", async () => {
  const { api, clock, lifecycle } = await silentNode(["first", "second"], [{ operator: "Exists" }]);
  lifecycle.start();
  await until("the other one is marked", async () => {
    await clock.advance(1_000);
    return !isReady(api, "second");
  });
  assert.deepEqual([api.failures, isReady(api, "first")], [1, true]);
  // After an outage nobody counts as silent at first.
  api.down = true;
  await clock.advance(15_000);
  api.down = false;
  await until("the first one is marked", async () => {
    await clock.advance(1_000);
    return !isReady(api, "first");
  });
  await lifecycle.stop();
});

test("an eviction is bound to the pod it is meant for", async () => {
  const { api, clock, lifecycle } = await silentNode(["only"], []);
  const uid = api.pod("only")?.metadata.uid;
  lifecycle.start();
  await until("it is evicted", async () => {
    await clock.advance(1_000);
    return api.boundTo.length > 0;
  });
  assert.deepEqual(api.boundTo, [uid]);
  await lifecycle.stop();
});
