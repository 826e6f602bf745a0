/** What is in deploy/ is whole, and gives the agent the rights it uses and no others. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { readManifests } from "../../src/config/index.ts";
import { AgentMachine, NODE } from "../support/agent-machine.ts";
import { clusterPolicy, operatorNamespace } from "../support/manifests.ts";
import { RecordingProxy } from "../support/recording-proxy.ts";
import { runTranche } from "../support/run-up.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { until } from "../support/until.ts";

const deploy = fileURLToPath(new URL("../../deploy/", import.meta.url));

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** As much of any object of the manifest as is looked at. */
interface DeployObject {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules: readonly Rule[];
  readonly roleRef: { readonly name: string };
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly serviceAccountName: string;
        readonly volumes: readonly { readonly name: string }[];
        readonly containers: readonly {
          readonly args: readonly string[];
          readonly volumeMounts: readonly { readonly name: string }[];
          readonly securityContext: { readonly privileged: boolean };
        }[];
      };
    };
  };
}

async function manifest(kind: string): Promise<DeployObject> {
  const text = await readFile(join(deploy, "agent-daemonset.yaml"), "utf8");
  const read = readManifests([{ file: "agent-daemonset.yaml", text }]);
  assert.ok(read.ok, JSON.stringify(read.findings));
  const found: DeployObject = JSON.parse(JSON.stringify(read.value.find((one) => one.kind === kind)?.object ?? null));
  assert.ok(found, `no ${kind}`);
  return found;
}

/** Options that are understood end with a refusal of what is not there, and others with 2. */
async function assertUnderstood(t: TestContext, options: readonly string[]): Promise<void> {
  const directory = await temporaryDirectory(t);
  const own = ["--state-dir", directory, "--kubelet-root", directory, "--kubeconfig", join(directory, "missing")];
  const { code, progress } = await runTranche([...options, ...own]);
  assert.equal(code, 1, progress);
  assert.match(progress, /kubeconfig-unusable/);
}

test("the DaemonSet's options are those of the command, and its mounts are of its volumes", async (t) => {
  const { spec } = await manifest("DaemonSet");
  const { containers, volumes, serviceAccountName } = spec.template.spec;
  const [container] = containers;
  assert.ok(container);
  await assertUnderstood(t, container.args);
  const names = (all: readonly { readonly name: string }[]): readonly string[] => all.map(({ name }) => name).sort();
  assert.deepEqual(names(container.volumeMounts), names(volumes));
  assert.equal(container.securityContext.privileged, false);
  assert.equal(serviceAccountName, (await manifest("ServiceAccount")).metadata.name);
  assert.equal((await manifest("ClusterRoleBinding")).roleRef.name, (await manifest("ClusterRole")).metadata.name);
});

test("the systemd unit's options are those of the command", async (t) => {
  const unit = await readFile(join(deploy, "tranche-agent.service"), "utf8");
  const [, command = ""] = /^ExecStart=\S+ (.*)$/m.exec(unit) ?? [];
  await assertUnderstood(t, command.split(" "));
});

test("the account may do what the agent asks the API for, and nothing else", async (t) => {
  const machine = await AgentMachine.start(t, { objects: [clusterPolicy({ plugin: "missing" })] });
  const proxy = await RecordingProxy.start(t, machine.server.connection());
  await writeFile(machine.kubeconfig, proxy.kubeconfig(machine.server.token));
  const told = async (count: number): Promise<unknown> =>
    until(`told ${count} times`, async () =>
      (await machine.eventList(NODE)).some((one) => one.reason === "ConfigMapMissing" && one.count === count),
    );
  for (const count of [1, 2]) {
    const agent = await machine.startAgent("--namespace", operatorNamespace);
    await machine.offers("nvidia.com/gpu", 1);
    await told(count);
    await until(
      "the node is labelled",
      async () => (await machine.node()).metadata.labels?.["nvidia.com/gpu.count"] === "1",
    );
    agent.signal("SIGTERM");
    await agent.end();
  }
  const used = proxy.calls.map(({ verb, group, resource, namespace }) => {
    const isConfig = resource === "configmaps";
    if (isConfig) assert.equal(namespace, operatorNamespace);
    return `${isConfig ? "Role" : "ClusterRole"} ${verb} ${group}/${resource}`;
  });
  const granted = await Promise.all(
    ["ClusterRole", "Role"].map(async (kind) =>
      (await manifest(kind)).rules.flatMap(({ apiGroups, resources, verbs }) =>
        apiGroups.flatMap((group) =>
          resources.flatMap((resource) => verbs.map((verb) => `${kind} ${verb} ${group}/${resource}`)),
        ),
      ),
    ),
  );
  assert.deepEqual([...new Set(used)].sort(), granted.flat().sort());
});
