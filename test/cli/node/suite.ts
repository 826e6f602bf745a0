/**
 * What the node's own commands do, the same over every driver: `nvml` on a double of NVIDIA's library, and `simulated`.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { takeAgentLock } from "../../../src/cli/agent/agent-lock.ts";
import { type PodResourcesEntry, servePodResources } from "../../../src/kubelet/index.ts";
import { shippedConfigs } from "../../config/support/shipped-configs.ts";
import { type Machine, migFile } from "./machine.ts";

/** Makes a machine with these GPUs, `A100-80GB:2,T4`; all of them uncut. */
export type MakeMachine = (t: TestContext, gpus: string) => Promise<Machine>;

const success = "MIG configuration applied successfully";

export function nodeCommandSuite(name: string, make: MakeMachine): void {
  describe(`${name}: fixed points`, () => {
    const rows: readonly (readonly [gpus: string, configs: readonly string[]])[] = [
      ["A100-80GB", ["all-1g.10gb", "all-1g.10gb.me", "all-2g.20gb", "all-balanced", "all-enabled", "all-disabled"]],
      ["A100-40GB:2", ["all-1g.5gb", "all-3g.20gb", "all-1g.10gb", "all-balanced"]],
      ["A30", ["all-1g.6gb", "all-2g.12gb", "all-2g.12gb.me", "all-balanced", "all-disabled"]],
      ["H100-80GB:2,T4", ["all-1g.10gb", "all-1g.20gb", "all-4g.40gb", "all-balanced"]],
      ["H200", ["all-1g.18gb", "all-1g.35gb", "all-balanced"]],
    ];
    for (const [gpus, configs] of rows) {
      test(`${gpus}: ${configs.join(", ")}`, async (t) => {
        const machine = await make(t, gpus);
        const file = join(machine.directory, "shipped.yaml");
        await writeFile(file, shippedConfigs());
        for (const config of configs) await assertFixedPoint(machine, file, config);
      });
    }
  });

  describe(`${name}: the smallest change`, () => {
    test("what both layouts have stays, with its UUIDs", async (t) => {
      const machine = await make(t, "A100-80GB");
      const file = await migFile(machine.directory, {
        before: "all 3x1g.10gb 1x3g.40gb",
        after: "all 1x1g.10gb 1x2g.20gb 1x3g.40gb",
      });
      await applied(machine, file, "before");
      const before = await uuids(machine);
      const run = await applied(machine, file, "after");
      const destroys = run.progress.split("\n").filter((line) => /^GPU 0: destroy GPU instance/.test(line));
      assert.equal(destroys.length, 2, run.progress);
      const after = await uuids(machine);
      assert.equal(before.filter((uuid) => after.includes(uuid)).length, 2);
    });

    test("a change of one GPU's mode leaves the other's instances alone and resets nothing else", async (t) => {
      const machine = await make(t, "A100-80GB:2");
      const file = await migFile(machine.directory, { one: "0 7x1g.10gb", both: "all 7x1g.10gb" });
      await applied(machine, file, "one");
      const [first] = await machine.gpus();
      const run = await applied(machine, file, "both");
      assert.doesNotMatch(run.progress, /^GPU 0: (reset|turn|destroy|create)/m);
      assert.deepEqual((await machine.gpus())[0], first);
    });

    test("--devices leaves all other GPUs as they are", async (t) => {
      const machine = await make(t, "A100-80GB:3");
      const { code } = await machine.run("mig", "apply", "-c", "all-1g.10gb", "--devices", "1");
      assert.equal(code, 0);
      assert.deepEqual(
        (await machine.state()).map((state) => state.split(" ").length),
        [2, 9, 2],
      );
    });
  });

  describe(`${name}: what is held`, () => {
    test("a slice that an idle pod holds is never destroyed; plan and apply name the pod", async (t) => {
      const machine = await make(t, "A100-80GB");
      const file = await migFile(machine.directory, {
        a: "all 3x1g.10gb 1x3g.40gb",
        b: "all 1x7g.80gb",
        c: "all 2x3g.40gb",
      });
      await applied(machine, file, "a");
      const [gpu] = await machine.gpus();
      const held =
        gpu?.instances.find(({ profile }) => profile === "3g.40gb")?.computeInstances[0]?.uuid ?? assert.fail();
      await kubeletWith(t, machine, held);
      const before = await machine.state();
      const plan = await machine.run("mig", "plan", "-f", file, "-c", "b");
      assert.match(plan.answer, /waits +for ml\/train-0, holder of 3g\.40gb@4/);
      const { code, progress } = await machine.run("mig", "apply", "-f", file, "-c", "b");
      assert.equal(code, 1);
      assert.match(progress, /warning slice-in-use: GPU 0\n {2}GPU 0 3g\.40gb@4 is held by pod ml\/train-0;/);
      assert.deepEqual(await machine.state(), before);
      assert.match((await machine.run("gpus")).answer, /3g\.40gb@4:4 .* ml\/train-0/);
      await applied(machine, file, "c");
      assert.ok((await uuids(machine)).includes(held));
    });

    const silences: readonly (readonly [name: string, make: (t: TestContext, machine: Machine) => Promise<void>])[] = [
      ["is stopped", async () => {}],
      ["has left a socket behind", async (_, { root }) => writeFile(join(root, podResourcesSocket), "")],
      ["has just started and knows no pod", (t, machine) => kubeletTelling(t, machine, () => [])],
    ];
    for (const [silence, fallSilent] of silences) {
      test(`a kubelet that ${silence}: what its checkpoint gives to pods still on the node is held`, async (t) => {
        const machine = await make(t, "A100-80GB");
        const file = await migFile(machine.directory, { a: "all 2x3g.40gb", b: "all 1x7g.80gb" });
        await applied(machine, file, "a");
        const pod = await checkpointWith(machine, (await uuids(machine))[0] ?? assert.fail());
        await fallSilent(t, machine);
        const { code, progress } = await machine.run("mig", "apply", "-f", file, "-c", "b");
        assert.equal(code, 1);
        assert.match(progress, /slice-in-use: .*\n.* is held by pod UID 0f6c-1;/);
        await rm(pod, { recursive: true });
        await applied(machine, file, "b");
      });
    }

    test("a checkpoint that cannot be read: nothing is changed", async (t) => {
      const machine = await make(t, "A100-80GB");
      const file = await migFile(machine.directory, { a: "all 2x3g.40gb", b: "all 1x7g.80gb" });
      await applied(machine, file, "a");
      for (const text of ["", "{}", '{"Data":{"PodDeviceEntries":[{"PodUID":"../x","DeviceIDs":{}}]}}']) {
        await checkpointWith(machine, "", text);
        const { code, progress } = await machine.run("mig", "apply", "-f", file, "-c", "b");
        assert.deepEqual(
          [code, /holders-unknown[\s\S]*kubelet_internal_checkpoint/.test(progress)],
          [1, true],
          progress,
        );
      }
    });

    test("while an agent gives the devices away nothing is changed; a hook may end it", async (t) => {
      const machine = await make(t, "A100-80GB");
      const file = await migFile(machine.directory, { a: "all 2x3g.40gb", b: "all 1x7g.80gb" });
      await applied(machine, file, "a");
      const path = join(machine.root, "var/lib/kubelet/device-plugins/tranche-agent.lock");
      const agent = await takeAgentLock(path, "agent of node-a, process 7");
      assert.ok(agent.taken);
      t.after(() => agent.lock.release());
      const before = await machine.state();
      for (const args of [["apply", "-f", file, "-c", "b"], ["rollback"]]) {
        const { code, progress } = await machine.run("mig", ...args);
        assert.deepEqual([code, /agent-runs: .*\n.*agent of node-a, process 7/.test(progress)], [1, true], progress);
      }
      assert.deepEqual(await machine.state(), before);
      assert.equal((await machine.run("mig", "plan", "-f", file, "-c", "b")).code, 0);
      await applied(machine, file, "a");
      const hooks = join(machine.directory, "end-agent.yaml");
      await writeFile(hooks, `version: v1\nhooks: { apply-start: [{ command: rm, args: [${path}] }] }\n`);
      assert.equal((await machine.run("mig", "apply", "-f", file, "-c", "b", "-k", hooks)).code, 0);
    });

    test("only the flag that names it takes what a pod holds", async (t) => {
      const machine = await make(t, "A100-80GB");
      const file = await migFile(machine.directory, { a: "all 2x3g.40gb", b: "all 1x7g.80gb" });
      await applied(machine, file, "a");
      await kubeletWith(t, machine, (await uuids(machine))[0] ?? assert.fail());
      assert.equal((await machine.run("mig", "apply", "-f", file, "-c", "b")).code, 1);
      await applied(machine, file, "b", "--force-destroy-in-use");
      assert.deepEqual(await machine.state(), ["0 on 7g.80gb@0"]);
    });
  });

  describe(`${name}: plan and its exit code`, () => {
    test("plan --exit-code is 1 when there is something to do, 0 when not, 2 for errors", async (t) => {
      const machine = await make(t, "H100-80GB");
      const file = await migFile(machine.directory, { x: "all 2x3g.40gb" });
      const code = async (...words: readonly string[]): Promise<number> =>
        (await machine.run("mig", "plan", "-f", file, "--exit-code", ...words)).code;
      assert.equal(await code(), 1);
      await applied(machine, file, "x");
      assert.equal(await code(), 0);
      assert.equal(await code("-c", "none-such"), 2);
    });

    test("a plan changes nothing, and apply does what it says", async (t) => {
      const machine = await make(t, "H100-80GB");
      const file = await migFile(machine.directory, { x: "all 2x3g.40gb" });
      const before = await machine.state();
      const plan = await machine.run("mig", "plan", "-f", file);
      const dry = await machine.run("mig", "apply", "-f", file, "--dry-run");
      assert.equal(plan.answer, dry.answer);
      assert.deepEqual(await machine.state(), before);
      const run = await applied(machine, file, "x");
      assert.ok(run.progress.includes(plan.answer), run.progress);
    });

    test("a layout that does not fit is refused with its place in the file, and nothing is changed", async (t) => {
      const machine = await make(t, "A30");
      const file = await migFile(machine.directory, { x: "all 2x2g.12gb 1x1g.6gb" });
      const { code, progress } = await machine.run("mig", "apply", "-f", file);
      assert.equal(code, 1);
      assert.match(progress, /error mig-too-many-instances: .*mig\.yaml:6:/);
      assert.deepEqual(await machine.state(), ["0 off"]);
    });
  });

  describe(`${name}: assert as nvidia-mig-parted`, () => {
    test("exit code and words", async (t) => {
      const machine = await make(t, "A100-80GB");
      const file = await migFile(machine.directory, { a: "all 2x3g.40gb", b: "all 7x1g.10gb", none: "all off" });
      const check = async (...words: readonly string[]): Promise<string> => {
        const { code, answer } = await machine.run("mig", "assert", "-f", file, ...words);
        return `${code} ${answer}`;
      };
      assert.equal(await check("-c", "a", "--valid-config"), "0 Selected MIG configuration is valid");
      assert.equal(await check("-c", "a"), "1 ");
      assert.equal(await check("-c", "none"), "0 Selected MIG configuration currently applied");
      await applied(machine, file, "a");
      assert.equal(await check("-c", "a"), "0 Selected MIG configuration currently applied");
      assert.equal(await check("-c", "b"), "1 ");
      const modes = "0 Selected MIG mode settings from configuration currently applied";
      assert.equal(await check("-c", "b", "--mode-only"), modes);
      assert.equal(await check("-c", "none", "--mode-only"), "1 ");
      assert.equal(await check("-c", "zzz", "--valid-config"), "1 ");
    });

    test("apply --mode-only turns MIG on and cuts nothing", async (t) => {
      const machine = await make(t, "A100-80GB");
      const file = await migFile(machine.directory, { a: "all 2x3g.40gb" });
      assert.equal((await machine.run("mig", "apply", "-f", file, "--mode-only")).code, 0);
      assert.deepEqual(await machine.state(), ["0 on"]);
    });

    test("apply --skip-reset leaves a mode that needs a reset pending and says so", async (t) => {
      const machine = await make(t, "A100-80GB");
      const file = await migFile(machine.directory, { a: "all 2x3g.40gb" });
      const { code, progress } = await machine.run("mig", "apply", "-f", file, "--skip-reset");
      assert.equal(code, 0, progress);
      assert.match(progress, /mig-reboot-needed/);
      assert.deepEqual(await machine.state(), ["0 off(pending)"]);
    });
  });

  describe(`${name}: the way back`, () => {
    test("rollback returns to the layout before the last change, place by place, and back again", async (t) => {
      const machine = await make(t, "A100-80GB:2");
      const file = await migFile(machine.directory, { a: "all 3x1g.10gb 1x3g.40gb", b: "0 1x7g.80gb; 1 off" });
      await applied(machine, file, "a");
      const [a, ids] = [await machine.state(), await uuids(machine)];
      await applied(machine, file, "b");
      const b = await machine.state();
      assert.equal((await machine.run("mig", "rollback")).code, 0);
      assert.deepEqual([await machine.state(), await uuids(machine)], [a, ids]);
      assert.equal((await machine.run("mig", "rollback")).code, 0);
      assert.deepEqual(await machine.state(), b);
    });

    test("without a change there is nothing to go back to", async (t) => {
      const machine = await make(t, "A30");
      const { code, progress } = await machine.run("mig", "rollback");
      assert.equal(code, 1);
      assert.match(progress, /mig-nothing-to-roll-back/);
    });
  });

  describe(`${name}: what programs and the disk make of it`, () => {
    test("apply -o json answers with JSON and nothing else", async (t) => {
      const machine = await make(t, "A30");
      const { code, answer } = await machine.run("mig", "apply", "-c", "all-balanced", "-o", "json");
      const { plans }: { readonly plans: readonly { readonly complete: boolean }[] } = JSON.parse(answer);
      assert.deepEqual([code, plans.map(({ complete }) => complete)], [0, [true]]);
    });

    const damages: readonly string[] = [
      "",
      "{",
      "[]",
      '{"version":2}',
      '{"version":1,"last":{}}',
      '{"version":1,"unfinished":{"what":"x","beganAt":"now","before":[{}],"steps":[]}}',
      '{"version":1,"unfinished":{"what":"x","beganAt":"now","before":[],"steps":[{}]}}',
    ];
    test("a damaged journal is told with its path, and no change is made over it", async (t) => {
      const machine = await make(t, "A30");
      assert.equal((await machine.run("mig", "apply", "-c", "all-balanced")).code, 0);
      const before = await machine.state();
      const path = join(machine.directory, "state/mig-journal.json");
      for (const damage of damages) {
        await writeFile(path, damage);
        assert.match((await machine.run("gpus")).progress, /error mig-journal-unreadable: .*mig-journal\.json/, damage);
        for (const words of [["plan", "-c", "all-disabled"], ["apply", "-c", "all-disabled"], ["rollback"]]) {
          const { code, progress } = await machine.run("mig", ...words);
          assert.equal(code, 1, damage);
          assert.match(progress, /mig-journal-unreadable/, damage);
        }
      }
      assert.deepEqual(await machine.state(), before);
    });
  });

  describe(`${name}: hooks`, () => {
    test("run in mig-parted's order with its variables, and nothing is inherited", async (t) => {
      const machine = await make(t, "A100-80GB");
      const trace = join(machine.directory, "trace");
      const file = await migFile(machine.directory, { a: "all 2x3g.40gb" });
      const hooks = await hooksFile(machine, trace);
      await applied(machine, file, "a", "-k", hooks);
      await applied(machine, file, "a", "-k", hooks);
      assert.deepEqual((await readFile(trace, "utf8")).trimEnd().split("\n"), [
        ...["apply-start a no-home", "pre-apply-mode a no-home", "pre-apply-config a no-home", "apply-exit a no-home"],
        ...["apply-start a no-home", "apply-exit a no-home"],
      ]);
    });

    test("a slice that a hook makes free is not in the way", async (t) => {
      const machine = await make(t, "A100-80GB");
      const file = await migFile(machine.directory, { a: "all 2x3g.40gb", b: "all 1x7g.80gb" });
      await applied(machine, file, "a");
      const [held = ""] = await uuids(machine);
      const trace = join(machine.directory, "trace");
      // The hooks that run before the change leave their names here.
      const isGone = (): boolean => existsSync(trace) && readFileSync(trace, "utf8").includes("pre-apply-config");
      await kubeletTelling(t, machine, () => (isGone() ? [] : [held]));
      assert.equal((await machine.run("mig", "apply", "-f", file, "-c", "b")).code, 1);
      await applied(machine, file, "b", "-k", await hooksFile(machine, trace));
    });

    test("one that fails before the change stops it, and the last one still runs", async (t) => {
      const machine = await make(t, "A100-80GB");
      const trace = join(machine.directory, "trace");
      const file = await migFile(machine.directory, { a: "all 2x3g.40gb" });
      const hooks = await hooksFile(machine, trace, "pre-apply-mode");
      const { code, progress } = await machine.run("mig", "apply", "-f", file, "-k", hooks);
      assert.equal(code, 1);
      assert.match(
        progress,
        /error hook-failed: .*hooks\.yaml:\d+:\d+\n {2}hook pre-apply-mode: \/bin\/sh ended with 3/,
      );
      assert.deepEqual(await machine.state(), ["0 off"]);
      assert.match(await readFile(trace, "utf8"), /apply-exit/);
    });
  });
}

/** Applies, checks, applies again without a step, and applies the export without a step. */
export async function assertFixedPoint(machine: Machine, file: string, config: string): Promise<void> {
  await applied(machine, file, config);
  assert.equal((await machine.run("mig", "assert", "-f", file, "-c", config)).code, 0, config);
  const again = await applied(machine, file, config);
  assert.deepEqual(stepLines(again.progress), [], config);
  const saved = join(machine.directory, "saved.yaml");
  const exported = await machine.run("mig", "export", "-l", "saved");
  await writeFile(saved, exported.answer);
  assert.equal((await machine.run("mig", "assert", "-f", saved)).code, 0, exported.answer);
  assert.deepEqual(stepLines((await applied(machine, saved, "saved")).progress), [], config);
  assert.equal((await machine.run("mig", "export", "-l", "saved")).answer, exported.answer);
}

async function applied(machine: Machine, file: string, config: string, ...words: readonly string[]) {
  const run = await machine.run("mig", "apply", "-f", file, "-c", config, ...words);
  assert.equal(run.code, 0, run.progress);
  assert.equal(run.answer, success);
  return run;
}

function stepLines(progress: string): readonly string[] {
  return progress.split("\n").filter((line) => /^GPU \d+: (turn|reset|create|destroy)/.test(line));
}

async function uuids(machine: Machine): Promise<readonly string[]> {
  return (await machine.gpus()).flatMap(({ instances }) =>
    instances.flatMap(({ computeInstances }) => computeInstances.map(({ uuid }) => uuid)),
  );
}

/** Hooks that write their name, the selected config and whether they inherited anything; `failing` ends with 3. */
async function hooksFile({ directory }: Machine, trace: string, failing = ""): Promise<string> {
  const path = join(directory, "hooks.yaml");
  const names = ["apply-start", "pre-apply-mode", "pre-apply-config", "apply-exit"];
  const hooks = names.map((name) => {
    const script = `echo $NAME $MIG_PARTED_SELECTED_CONFIG \${HOME:-no-home} >> $TRACE; exit ${name === failing ? 3 : 0}`;
    const envs = JSON.stringify({ NAME: name, TRACE: trace });
    return `  ${name}:\n  - command: /bin/sh\n    args: ["-c", ${JSON.stringify(script)}]\n    envs: ${envs}\n`;
  });
  await writeFile(path, `version: v1\nhooks:\n${hooks.join("")}`);
  return path;
}

const podResourcesSocket = "var/lib/kubelet/pod-resources/kubelet.sock";

/** A kubelet on the machine that tells of pod `ml/train-0` with this device. */
function kubeletWith(t: TestContext, machine: Machine, deviceId: string): Promise<void> {
  return kubeletTelling(t, machine, () => [deviceId]);
}

/** A kubelet whose pod `ml/train-0` holds the devices that `held` tells at each question; it has no pod without any. */
async function kubeletTelling(t: TestContext, { root }: Machine, held: () => readonly string[]): Promise<void> {
  const socketPath = join(root, podResourcesSocket);
  await mkdir(dirname(socketPath), { recursive: true });
  const list = (): readonly PodResourcesEntry[] => {
    const resource = "nvidia.com/mig-3g.40gb";
    const devices = held().map((deviceId) => ({ resource, deviceId, numaNode: undefined }));
    return devices.length === 0 ? [] : [{ namespace: "ml", pod: "train-0", containers: [{ name: "main", devices }] }];
  };
  const server = await servePodResources({ socketPath, list, allocatable: () => [] });
  t.after(() => server.close());
}

/** The kubelet's checkpoint in its own form, and the directory of the pod in it, which is returned. */
async function checkpointWith({ root }: Machine, deviceId: string, text?: string): Promise<string> {
  const kubelet = join(root, "var/lib/kubelet");
  const entry = { PodUID: "0f6c-1", ContainerName: "main", ResourceName: "nvidia.com/mig-3g.40gb", AllocResp: "" };
  const data = { PodDeviceEntries: [{ ...entry, DeviceIDs: { "-1": [deviceId] } }], RegisteredDevices: {} };
  for (const name of ["device-plugins", "pod-resources", "pods/0f6c-1"]) {
    await mkdir(join(kubelet, name), { recursive: true });
  }
  const path = join(kubelet, "device-plugins/kubelet_internal_checkpoint");
  await writeFile(path, text ?? JSON.stringify({ Data: data, Checksum: 1 }));
  return join(kubelet, "pods/0f6c-1");
}
