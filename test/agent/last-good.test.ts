/** What an agent keeps of policy and config for the one that comes after it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { desiredState } from "../../src/agent/desired.ts";
import type { InputValues } from "../../src/agent/inputs.ts";
import { LastGoodMemory, type LastingText, lastGoodText, parseLastGood } from "../../src/agent/last-good.ts";
import { silentLogger } from "../../src/base/index.ts";
import type { KubeObject } from "../../src/kube/index.ts";
import { clusterPolicy, configMap, timeSliced } from "../support/manifests.ts";

const policy = clusterPolicy({ strategy: "single", plugin: "plugin", pluginDefault: "any" });

function inputs(policies: readonly KubeObject[], any: string): InputValues {
  const node = { apiVersion: "v1", kind: "Node", metadata: { name: "node-a" } };
  return { node, policies, configMaps: [configMap("plugin", { any })] };
}

function place(text?: string): LastingText & { readonly texts: string[] } {
  const texts = text === undefined ? [] : [text];
  return { texts, read: async () => texts.at(-1), write: async (one) => void texts.push(one) };
}

test("an agent that meets an edit which cannot be read at its start goes on with what the one before it had", async () => {
  const kept = place();
  const first = desiredState(inputs([policy], timeSliced(4)), [], undefined);
  await new LastGoodMemory(kept, silentLogger).keep(first);
  const recalled = await new LastGoodMemory(kept, silentLogger).recall();
  const broken = { ...policy, spec: { mig: { strategy: "several" } } };
  const second = desiredState(inputs([broken], "sharing: 3"), [], recalled);
  assert.deepEqual(second.pluginConfig, first.pluginConfig);
  assert.equal(second.pluginConfigHash, first.pluginConfigHash);
  assert.deepEqual(second.policy, first.policy);
  assert.equal(second.settings.migStrategy, "single");
});

test("a config that can be read counts, whatever was kept", async () => {
  const kept = parseLastGood(lastGoodText(desiredState(inputs([policy], timeSliced(4)), [], undefined)));
  const now = desiredState(inputs([], timeSliced(8)), [], kept);
  assert.equal(now.policy, undefined);
  assert.equal(now.pluginConfigName, undefined);
});

test("it is written when it has changed, and only then", async () => {
  const kept = place();
  const memory = new LastGoodMemory(kept, silentLogger);
  for (const replicas of [4, 4, 8])
    await memory.keep(desiredState(inputs([policy], timeSliced(replicas)), [], undefined));
  assert.equal(kept.texts.length, 2);
  const next = new LastGoodMemory(kept, silentLogger);
  await next.recall();
  await next.keep(desiredState(inputs([policy], timeSliced(8)), [], undefined));
  assert.equal(kept.texts.length, 2);
});

for (const text of ["", "{", "null", "[]", '{"clusterPolicy":{"kind":1},"devicePluginConfig":{"name":"a"}}']) {
  test(`nothing is made of ${JSON.stringify(text)}`, async () => {
    const recalled = await new LastGoodMemory(place(text), silentLogger).recall();
    assert.equal(recalled?.policy, undefined);
    assert.equal(recalled?.pluginConfigHash, undefined);
  });
}

test("a place that cannot be read or written stops nobody", async () => {
  const fails = (): Promise<never> => Promise.reject(new Error("the disk is gone"));
  const memory = new LastGoodMemory({ read: fails, write: fails }, silentLogger);
  assert.equal(await memory.recall(), undefined);
  await memory.keep(desiredState(inputs([policy], timeSliced(4)), [], undefined));
});
