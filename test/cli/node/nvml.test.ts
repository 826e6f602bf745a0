/** The node's own commands over NVML, on a double of NVIDIA's library. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { machineOf, migFile } from "./machine.ts";
import { type NvmlMachine, nvmlMachine } from "./nvml-machine.ts";
import { nodeCommandSuite } from "./suite.ts";

nodeCommandSuite("NVML", nvmlMachine);

interface Trouble {
  readonly name: string;
  readonly words: readonly string[];
  /** Makes something wrong with the machine; the answer can name another library than its own. */
  make(machine: NvmlMachine): Promise<string | undefined>;
  readonly code: number;
  readonly progress: RegExp;
  readonly answer: RegExp;
}

const initialisation = { notLoaded: 9, noPermission: 4 };

const troubles: readonly Trouble[] = [
  {
    name: "no library",
    words: ["gpus"],
    make: async ({ directory }) => join(directory, "none.so"),
    code: 1,
    progress: /^error nvml-library-missing: this node\n.*none\.so.*\n {2}→ install the NVIDIA driver/,
    answer: /^$/,
  },
  {
    name: "a file that is no NVML library",
    words: ["gpus"],
    make: async ({ node }) => node.nvidiaSmi,
    code: 1,
    progress: /^error nvml-library-/,
    answer: /^$/,
  },
  {
    name: "the driver is not loaded",
    words: ["mig", "apply", "-c", "all-1g.10gb"],
    make: async ({ node }) => void (await node.initCode(initialisation.notLoaded)),
    code: 1,
    progress: /^error .*driver.*\n.*\n {2}→ /i,
    answer: /^$/,
  },
  {
    name: "one of two GPUs is lost: the other is shown",
    words: ["gpus"],
    make: async ({ node }) => void (await node.lose(1)),
    code: 0,
    progress: /GPU 1[\s\S]*\n {2}→ /,
    answer: /^GPU .*\n0 +NVIDIA A100/,
  },
  {
    name: "one of two GPUs is lost: nothing is cut for all of them",
    words: ["mig", "apply", "-c", "all-1g.10gb"],
    make: async ({ node }) => void (await node.lose(1)),
    code: 1,
    progress: /gpus-unreadable[\s\S]*GPU 1 cannot be read[\s\S]*--devices/,
    answer: /^$/,
  },
  {
    name: "one of two GPUs is lost: the other is cut when it is named",
    words: ["mig", "apply", "-c", "all-1g.10gb", "--devices", "0"],
    make: async ({ node }) => void (await node.lose(1)),
    code: 0,
    progress: /GPU 0: 0 kept, 0 destroyed, 7 created/,
    answer: /applied successfully/,
  },
  {
    name: "no rights to change MIG: refused by the driver, told what is needed, nothing changed",
    words: ["mig", "apply", "-c", "all-1g.10gb"],
    make: async ({ node }) => void (await node.unprivileged()),
    code: 1,
    progress: /error driver-call-failed: GPU 0\n.*turn MIG on.*\n {2}→ run as root/,
    answer: /^$/,
  },
];

for (const { name, words, make, code, progress, answer } of troubles) {
  test(`NVML: ${name}`, async (t: TestContext) => {
    const machine = await nvmlMachine(t, "A100-80GB:2");
    const library = await make(machine);
    const { directory, root } = machine;
    const other = library === undefined ? machine : machineOf(directory, root, ["--nvml-library", library]);
    const run = await other.run(...words);
    assert.deepEqual([run.code, progress.test(run.progress), answer.test(run.answer)], [code, true, true], text(run));
  });
}

function text({ progress, answer }: { readonly progress: string; readonly answer: string }): string {
  return `progress:\n${progress}\nanswer:\n${answer}`;
}

test("NVML: a process on a slice is named with its pid and command, and its slice stays", async (t) => {
  const machine = await nvmlMachine(t, "A100-80GB");
  const file = await migFile(machine.directory, { a: "all 1x3g.40gb 1x1g.10gb", b: "all 1x7g.80gb" });
  assert.equal((await machine.run("mig", "apply", "-f", file, "-c", "a")).code, 0);
  const [gpu] = await machine.gpus();
  const instance = gpu?.instances.find(({ profile }) => profile === "3g.40gb") ?? assert.fail();
  const process = { gpu: 0, pid: 4242, command: "python train.py", memoryMiB: 900 };
  await machine.node.startProcess({ ...process, gpuInstanceId: instance.id, computeInstanceId: 0 });
  const before = (await machine.node.changes()).length;
  for (const force of [[], ["--force-destroy-in-use"]]) {
    const run = await machine.run("mig", "apply", "-f", file, "-c", "b", ...force);
    assert.equal(run.code, 1);
    assert.match(
      run.progress,
      force.length === 0 ? /slice-in-use[\s\S]*process 4242 \(python train\.py\)/ : /in-use|in use/i,
    );
    if (force.length === 0) assert.equal((await machine.node.changes()).length, before);
  }
  assert.match((await machine.state()).join(), /3g\.40gb/);
  assert.match((await machine.run("gpus")).answer, /3g\.40gb@4:4 .*process 4242 \(python train\.py\)/);
});

test("NVML: one GPU's mode change resets that GPU alone", async (t) => {
  const machine = await nvmlMachine(t, "A100-80GB:3");
  const file = await migFile(machine.directory, { a: "0 7x1g.10gb", b: "all 7x1g.10gb" });
  assert.equal((await machine.run("mig", "apply", "-f", file, "-c", "a")).code, 0);
  const first = (await machine.node.changes()).length;
  assert.equal((await machine.run("mig", "apply", "-f", file, "-c", "b")).code, 0);
  const touched = new Set((await machine.node.changes()).slice(first).map(({ gpu }) => gpu));
  // Calls on a GPU instance tell no GPU.
  touched.delete(undefined);
  assert.deepEqual([...touched].sort(), [1, 2]);
});
