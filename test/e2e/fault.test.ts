/** `tranche fault` against a running `tranche up`: what users see of it through the API. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { load } from "js-yaml";
import { runProgram } from "../../src/cli/index.ts";
import {
  connectionFromKubeconfig,
  KubeClient,
  KubeError,
  type KubeEvent,
  type KubeObject,
  type Node,
  type Pod,
  resources,
} from "../../src/kube/index.ts";
import { clusterPolicy, configMap, manifestText, migParted, nodeManifest, pod } from "../support/manifests.ts";
import { type Run, runTranche } from "../support/run-up.ts";
import { temporaryDirectory, writtenFiles } from "../support/temporary.ts";
import { TrancheProcess } from "../support/tranche-process.ts";
import { until } from "../support/until.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const quickStart = join(root, "examples/quick-start.yaml");
const STAYS = /export KUBECONFIG=(\S+)/;

const SLICE = "nvidia.com/mig-1g.10gb";
const GPU = "nvidia.com/gpu";
const memory = { "tranche.dev/gpu-memory": "1Gi" };

/** Two nodes with slices, one with a whole GPU. */
const fleet: readonly KubeObject[] = [
  nodeManifest("node-a", "A100-80GB:2", { "nvidia.com/mig.config": "small" }),
  nodeManifest("node-h", "H100-80GB", { "nvidia.com/mig.config": "small" }),
  nodeManifest("node-t4", "T4"),
  clusterPolicy({ mig: "mig" }),
  configMap("mig", { "config.yaml": migParted({ small: { "1g.10gb": 2 } }) }),
];

/** A `tranche up` in this process, and what one does to it and sees of it in another terminal. */
class RunningUp {
  readonly client: KubeClient;
  readonly stateDir: string;
  readonly #progress: readonly string[];
  #woken = 0;

  constructor(stateDir: string, client: KubeClient, progress: readonly string[]) {
    this.stateDir = stateDir;
    this.client = client;
    this.#progress = progress;
  }

  get progress(): string {
    return this.#progress.join("\n");
  }

  fault(...args: readonly string[]): Promise<Run> {
    return runTranche(["fault", ...args, "--state-dir", this.stateDir]);
  }

  /** Causes it; fails when it is refused. */
  async cause(...args: readonly string[]): Promise<string> {
    const { code, answer, progress } = await this.fault(...args);
    assert.equal(code, 0, progress);
    return answer;
  }

  async allocatable(node: string, resource: string, count: number): Promise<void> {
    await until(`${node} has ${count} of ${resource}`, async () => {
      const { status } = await this.client.get<Node>(resources.nodes, { name: node });
      return Number(status?.allocatable?.[resource] ?? 0) === count;
    });
  }

  /** Wakes the agent, which would look at the driver a few seconds later by itself. */
  async wake(node: string): Promise<void> {
    this.#woken += 1;
    const labels = { woken: String(this.#woken) };
    await this.client.mergePatch(resources.nodes, { name: node }, { metadata: { labels } });
  }

  pod(name: string): Promise<Pod> {
    return this.client.get<Pod>(resources.pods, { namespace: "default", name });
  }

  async becomes(name: string, phase: string): Promise<void> {
    await until(`${name} is ${phase}`, async () => (await this.pod(name)).status?.phase === phase);
  }

  async restarts(name: string): Promise<number | undefined> {
    return (await this.pod(name)).status?.containerStatuses?.[0]?.restartCount;
  }

  /** Waits for an event about `name`, `Warning Reason: message (count)`, that matches. */
  async event(name: string, pattern: RegExp): Promise<KubeEvent> {
    return until(`an event of ${name} like ${pattern}`, async () => {
      const { items } = await this.client.list<KubeEvent>(resources.events);
      const about = items.filter((one) => one.involvedObject.name === name);
      return about.find((one) => pattern.test(`${one.type} ${one.reason}: ${one.message} (${one.count})`));
    });
  }

  /** Waits for a line of `up` itself. */
  async says(pattern: RegExp): Promise<void> {
    await until(`up says ${pattern}`, () => pattern.test(this.progress));
  }
}

async function clientOf(kubeconfig: string): Promise<KubeClient> {
  const read = connectionFromKubeconfig(load(await readFile(kubeconfig, "utf8")));
  assert.ok(read.ok, JSON.stringify(read.findings));
  return new KubeClient(read.value);
}

/** Runs `body` with an `up` that has settled, then ends that as Ctrl-C does. */
async function withUp(
  t: TestContext,
  args: readonly string[],
  body: (up: RunningUp) => Promise<void>,
): Promise<{ readonly code: number; readonly progress: string }> {
  const stateDir = join(await temporaryDirectory(t), "state");
  const progress: string[] = [];
  const ending = new AbortController();
  const output = { answer: () => {}, progress: (text: string) => void progress.push(text) };
  let code: number | undefined;
  const run = runProgram(["up", ...args, "--state-dir", stateDir], { output, signal: ending.signal }).then((ended) => {
    code = ended;
    return ended;
  });
  try {
    await until("up stays", () => {
      assert.equal(code, undefined, progress.join("\n"));
      return progress.some((line) => STAYS.test(line));
    });
    const client = await clientOf(join(stateDir, "kubeconfig"));
    try {
      await body(new RunningUp(stateDir, client, progress));
    } finally {
      await client.close();
    }
  } catch (error) {
    throw new Error(`${String(error)}\n\n${progress.join("\n")}`, { cause: error });
  } finally {
    ending.abort();
    await run;
  }
  return { code: await run, progress: progress.join("\n") };
}

async function fleetFile(t: TestContext, ...pods: readonly KubeObject[]): Promise<readonly string[]> {
  const [file = ""] = await writtenFiles(t, { "fleet.yaml": manifestText(...fleet, ...pods) });
  return ["-f", file];
}

test("a GPU that falls off the bus: events name it and its pods, its devices go, a reboot brings them back", async (t) => {
  const args = await fleetFile(t, pod("held", { [GPU]: "1" }, memory), pod("other", { [SLICE]: "1" }));
  await withUp(t, args, async (up) => {
    const said = await up.cause("gpu", "node-t4/0", "--xid", "79");
    assert.match(
      said,
      /^node-t4 GPU 0 \(Tesla T4\) raised XID 79: GPU has fallen off the bus\nit is held by default\/held$/m,
    );
    assert.match(said, /\nlook at:\n {2}kubectl get events --field-selector involvedObject\.name=node-t4$/m);
    await up.event("node-t4", /^Warning GpuUnhealthy: .*XID 79.*held by default\/held/);
    await up.event("held", /^Warning GpuUnhealthy: /);
    await up.allocatable("node-t4", GPU, 0);
    await up.says(/^fault: node-t4 GPU 0 .* raised XID 79/m);
    const again = await up.fault("gpu", "node-t4/0", "--xid", "48");
    assert.match(again.progress, /error fault-refused: .*\n.* off the bus.*\n.*node-reboot node-t4/);

    await up.cause("node-reboot", "node-t4");
    await up.event("node-t4", /^Warning Rebooted: Node node-t4 has been rebooted, boot id: /);
    await up.allocatable("node-t4", GPU, 1);
    assert.equal((await up.pod("other")).status?.phase, "Running");
  });
});

test("an error that leaves the GPU on the bus makes its devices unhealthy and ends no program", async (t) => {
  const args = await fleetFile(t, pod("one", { [SLICE]: "1" }, memory), pod("two", { [SLICE]: "1" }, memory));
  await withUp(t, args, async (up) => {
    await up.cause("gpu", "node-a/0", "--xid", "48");
    await up.event("node-a", /^Warning GpuUnhealthy: .*XID 48, double bit ECC error/);
    await up.allocatable("node-a", SLICE, 2);
    // Programs cause this one, so it says nothing about the GPU.
    assert.match(await up.cause("gpu", "node-a/1", "--xid", "31"), /raised XID 31: GPU memory page fault$/m);
    await up.cause("kubelet-restart", "node-a");
    await up.allocatable("node-a", SLICE, 2);
    assert.deepEqual(await Promise.all(["one", "two"].map((name) => up.restarts(name))), [0, 0]);
  });
});

test("a driver that is not loaded: nothing is offered, what runs goes on, and all is as before afterwards", async (t) => {
  const args = await fleetFile(t, pod("one", { [GPU]: "1" }, memory));
  await withUp(t, args, async (up) => {
    assert.match(await up.cause("driver", "node-t4"), /not loaded, until: tranche fault driver node-t4 --end$/m);
    await up.wake("node-t4");
    await up.event("node-t4", /^Warning DriverUnreachable: .*the driver is not loaded/);
    await up.allocatable("node-t4", GPU, 0);
    assert.match((await up.fault("driver", "node-t4")).progress, /error fault-refused: /);
    const xid = await up.fault("gpu", "node-t4/0", "--xid", "79");
    assert.match(xid.progress, /error fault-refused: .*\n.*driver of node-t4 is not loaded/);
    await up.cause("driver", "node-t4", "--end");
    await up.wake("node-t4");
    await up.event("node-t4", /^Normal DriverReachable: /);
    await up.allocatable("node-t4", GPU, 1);
    const nothing = await up.fault("driver", "node-t4", "--end");
    assert.match(nothing.progress, /error fault-refused: .*\n.*nothing to end/);

    assert.deepEqual([(await up.pod("one")).status?.phase, await up.restarts("one")], ["Running", 0]);
  });
});

test("a driver fault with a time ends by itself, and one that was ended early does not end the next", async (t) => {
  await withUp(t, await fleetFile(t), async (up) => {
    assert.match(await up.cause("driver", "node-t4", "--for", "300ms"), /not loaded, for 300ms$/m);
    await up.cause("driver", "node-t4", "--end");
    await up.cause("driver", "node-t4", "--for", "1h");
    await up.cause("driver", "node-a", "--for", "400ms");
    // A GPU raises no error while its driver is not loaded; this one changes nothing.
    const raise = (): Promise<Run> => up.fault("gpu", "node-a/0", "--xid", "31");
    assert.equal((await raise()).code, 1);
    await until("the driver of node-a is loaded", async () => (await raise()).code === 0);
    assert.match((await up.fault("driver", "node-t4")).progress, /not loaded already/);
  });
});

test("a kubelet that restarts: it says so, devices come back, pods and what they hold stay", async (t) => {
  const args = await fleetFile(t, pod("one", { [SLICE]: "1" }, memory));
  await withUp(t, args, async (up) => {
    const { nodeName = "" } = (await up.pod("one")).spec;
    await up.cause("kubelet-restart", nodeName);
    await up.event(nodeName, /^Normal Starting: Starting kubelet\. \(2\)$/);
    await up.allocatable(nodeName, SLICE, nodeName === "node-a" ? 4 : 2);
    await up.client.create(resources.pods, { ...pod("next", { [SLICE]: "1" }), spec: onNode("next", nodeName) });
    await up.becomes("next", "Running");
    assert.deepEqual([(await up.pod("one")).status?.phase, await up.restarts("one")], ["Running", 0]);
  });
});

for (const { node, mode } of [
  { node: "node-a", mode: "stays on" },
  { node: "node-h", mode: "is off" },
]) {
  test(`a node that reboots: MIG mode ${mode}, slices are cut again, pods restart or are refused`, async (t) => {
    const plain: Pod = { ...pod("plain", {}), spec: onNode("plain", node, {}) };
    const held: Pod = { ...pod("held", {}), spec: onNode("held", node) };
    await withUp(t, await fleetFile(t, plain, held), async (up) => {
      await up.cause("node-reboot", node);
      await up.event(node, /^Warning Rebooted: /);
      const repartition =
        mode === "is off"
          ? /^Normal Repartition: .*mode MIG on/
          : /^Normal Repartition: GPU 0: 0 kept, 0 destroyed, 2 created in \d+ driver calls; creates/;
      await up.event(node, repartition);
      await up.allocatable(node, SLICE, node === "node-a" ? 4 : 2);
      await until("the plain pod was restarted", async () => (await up.restarts("plain")) === 1);
      await up.becomes("plain", "Running");
      await up.becomes("held", "Failed");
      await up.event("held", /^Warning UnexpectedAdmissionError: /);
      await up.client.create(resources.pods, { ...pod("next", {}), spec: onNode("next", node) });
      await up.becomes("next", "Running");
    });
  });
}

/** A pod on this node that no scheduler had a say in. */
function onNode(name: string, nodeName: string, limits: Record<string, string> = { [SLICE]: "1" }): Pod["spec"] {
  return { ...pod(name, limits).spec, nodeName };
}

test("an API server that goes away: refused, back on its port, and up, kubelets and agents go on", async (t) => {
  const args = await fleetFile(t, pod("one", { [SLICE]: "1" }, { "tranche.dev/run-for": "300ms" }));
  await withUp(t, args, async (up) => {
    await up.cause("api-outage", "1s");
    await assert.rejects(up.client.list(resources.nodes), (error) => error instanceof KubeError && error.status === 0);
    const again = await up.fault("api-outage", "1s");
    assert.match(again.progress, /error fault-refused: .*\n.*away already, for another \d+ms/);
    await until("it is back", () =>
      up.client.list(resources.nodes).then(
        () => true,
        () => false,
      ),
    );
    await up.event("kube-system", /^Warning APIServerOutage: the API server refused connections for 1s/);
    await up.says(/APIServerOutage/);
    await up.client.create(resources.pods, pod("after", { [GPU]: "1" }));
    await up.becomes("after", "Running");
    await up.says(/^pod default\/after Running on node-t4$/m);
  });
});

test("an outage that is in force when up ends does not hold it up", async (t) => {
  const { code } = await withUp(t, await fleetFile(t), async (up) => {
    await up.cause("api-outage", "1h");
    await up.cause("driver", "node-t4", "--for", "1h");
  });
  assert.equal(code, 0);
});

const refused = [
  {
    args: ["gpu", "node-x/0", "--xid", "79"],
    says: /error no-such-node: .*\n.* no node node-x\n.*one of: node-a, node-h, node-t4/,
  },
  { args: ["node-reboot", "node-x"], says: /error no-such-node: / },
  {
    args: ["gpu", "node-a/2", "--xid", "79"],
    says: /error no-such-gpu: .*\n.*\n.*one of: node-a\/0 \(NVIDIA A100.*\), node-a\/1 \(/,
  },
  {
    args: ["gpu", "node-a/0", "--xid", "7"],
    says: /error unknown-xid: .*\n.*no XID 7 .*\n.*one of: .*79 \(GPU has fallen off the bus\)/,
  },
];
test("a fault that concerns nothing there is is refused with what there is", async (t) => {
  await withUp(t, await fleetFile(t), async (up) => {
    for (const { args, says } of refused) {
      const { code, answer, progress } = await up.fault(...args);
      assert.deepEqual([code, answer], [1, ""]);
      assert.match(progress, says);
    }
  });
});

const wrong = [
  { args: ["gpu", "node-a", "--xid", "79"], says: /NODE\/INDEX/ },
  { args: ["gpu", "node-a/x", "--xid", "79"], says: /NODE\/INDEX/ },
  { args: ["gpu", "node-a/0"], says: /--xid/ },
  { args: ["gpu", "node-a/0", "--xid", "lots"], says: /an XID is a number/ },
  { args: ["api-outage"], says: /missing required argument 'duration'/ },
  { args: ["api-outage", "10"], says: /written as 10s, 1m30s or 500ms/ },
  { args: ["api-outage", "0s"], says: /above 0/ },
  { args: ["api-outage", "25h"], says: /at most 24h/ },
  { args: ["driver", "node-a", "--for", "1s", "--end"], says: /cannot be used with/ },
  { args: ["fire"], says: /unknown command 'fire'/ },
];
for (const { args, says } of wrong) {
  test(`fault ${args.join(" ")} is wrong usage`, async () => {
    const { code, progress } = await runTranche(["fault", ...args]);
    assert.equal(code, 2, progress);
    assert.match(progress, says);
  });
}

test("without a cluster the command says how to get one", async (t) => {
  const directory = await temporaryDirectory(t);
  const { code, progress } = await runTranche(["fault", "node-reboot", "node-a", "--state-dir", directory]);
  assert.equal(code, 1);
  assert.match(progress, /error no-cluster-running: .*\n.*no cluster answers at .*\n.*start one with tranche up/);
});

test("as processes: a fault reaches the cluster of another process, whose socket goes with it", async (t) => {
  const up = await TrancheProcess.start(t, "up", "-f", quickStart);
  const kubeconfig = await up.says(STAYS);
  const fault = await TrancheProcess.start(
    t,
    "fault",
    "kubelet-restart",
    "node-t4",
    "--state-dir",
    join(kubeconfig, ".."),
  );
  assert.deepEqual(await fault.end(), { code: 0, signal: null }, fault.progress);
  assert.match(fault.answer, /^the kubelet of node-t4 was restarted/);
  await up.says(/^fault: the kubelet of node-t4 was restarted/m);
  up.signal("SIGINT");
  assert.deepEqual(await up.end(), { code: 0, signal: null });
  assert.deepEqual(await up.leftovers(), []);
});

/** The commands of docs/break-things.md, in their order; an outage comes last, since nothing waits for its end. */
async function documentedFaults(): Promise<readonly string[]> {
  const text = await readFile(join(root, "docs/break-things.md"), "utf8");
  const lines = [...text.matchAll(/^```sh\n(.*?)^```/gms)].flatMap((block) => (block[1] ?? "").split("\n"));
  return lines.filter((line) => line.startsWith("bin/tranche fault "));
}

test("every fault that the docs show works as it stands on the cluster they show", async (t) => {
  await withUp(t, ["-f", quickStart], async (up) => {
    const lines = await documentedFaults();
    assert.ok(lines.length >= 5, lines.join("\n"));
    for (const line of lines) await up.cause(...line.split(/\s+/).slice(2));
  });
});
