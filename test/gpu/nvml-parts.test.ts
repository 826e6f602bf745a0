/** Parts of the NVML driver that need no library: who may call at the same time, and what text and memory mean. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { sysfsBusId } from "../../src/gpu/nvml/facts.ts";
import { resetCommand } from "../../src/gpu/nvml/gpu-reset.ts";
import { originIn } from "../../src/gpu/nvml/host-processes.ts";
import { Gate, Turns } from "../../src/gpu/nvml/lock.ts";
import { fabricIn, vgpuHostIn } from "../../src/gpu/nvml/node-facts.ts";
import { processesIn } from "../../src/gpu/nvml/processes.ts";

const uid = "0f6c2a34-7d1b-4e55-9f01-3c2b1a0d9e8f";
const container = "9a1b2c3d4e5f60718293a4b5c6d7e8f9a0b1c2d3e4f5061728394a5b6c7d8e9f";
const outer = "1".repeat(64);

describe("a process's control groups tell its pod and container", () => {
  const rows = [
    {
      name: "systemd driver, containerd",
      text: `0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${uid.replaceAll("-", "_")}.slice/cri-containerd-${container}.scope\n`,
      want: { podUid: uid, containerId: container },
    },
    {
      name: "cgroupfs driver, version 1",
      text: `12:devices:/kubepods/besteffort/pod${uid}/${container}\n1:name=systemd:/kubepods/besteffort/pod${uid}/${container}\n`,
      want: { podUid: uid, containerId: container },
    },
    {
      name: "static pod",
      text: `0::/kubepods/burstable/pod${"ab".repeat(16)}/crio-${container}\n`,
      want: { podUid: "ab".repeat(16), containerId: container },
    },
    {
      name: "a node that is itself a container",
      text: `0::/docker/${outer}/kubelet/kubepods/burstable/pod${uid}/${container}\n`,
      want: { podUid: uid, containerId: container },
    },
    {
      name: "a container without a pod",
      text: `0::/system.slice/docker-${container}.scope\n`,
      want: { podUid: undefined, containerId: container },
    },
    {
      name: "a service of the host",
      text: "0::/system.slice/nvidia-dcgm.service\n",
      want: { podUid: undefined, containerId: undefined },
    },
  ];
  for (const { name, text, want } of rows) test(name, () => assert.deepEqual(originIn(text), want));
});

describe("a reset is run", () => {
  const rows = [
    { name: "on the host", nvidiaSmi: undefined, root: "/", want: "nvidia-smi --gpu-reset -i GPU-1" },
    {
      name: "from a container inside the host's files",
      nvidiaSmi: undefined,
      root: "/host",
      want: "chroot /host nvidia-smi --gpu-reset -i GPU-1",
    },
    {
      name: "with the program that is named",
      nvidiaSmi: "/opt/nvidia-smi",
      root: "/host",
      want: "/opt/nvidia-smi --gpu-reset -i GPU-1",
    },
  ];
  for (const { name, want, ...request } of rows) {
    test(name, () => assert.equal(resetCommand({ ...request, gpuUuid: "GPU-1" }).join(" "), want));
  }
});

describe("a PCI address as sysfs has it", () => {
  const rows = [
    { busId: "00000000:3B:00.0", want: "0000:3b:00.0" },
    { busId: "00010000:81:00.0", want: "10000:81:00.0" },
    { busId: "0000:3b:00.0", want: "0000:3b:00.0" },
  ];
  for (const { busId, want } of rows) test(busId, () => assert.equal(sysfsBusId(busId), want));
});

test("processes are found whatever the size of an element", () => {
  const processes = fc.array(
    fc.record({
      pid: fc.integer({ min: 1, max: 4_194_304 }),
      memoryMiB: fc.integer({ min: 0, max: 300_000 }),
      gpuInstanceId: fc.option(fc.integer({ min: 0, max: 14 }), { nil: undefined }),
    }),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(processes, fc.constantFrom(16, 24, 32), (given, size) => {
      const memory = Buffer.alloc(32 * (given.length + 8), 0xaa);
      for (const [index, { pid, memoryMiB, gpuInstanceId = 0xffff_ffff }] of given.entries()) {
        const element = memory.subarray(index * size, (index + 1) * size);
        element.fill(0);
        element.writeUInt32LE(pid, 0);
        element.writeBigUInt64LE(BigInt(memoryMiB) << 20n, 8);
        if (size > 16) element.writeUInt32LE(gpuInstanceId, 16);
      }
      const want = given.map(({ pid, memoryMiB, gpuInstanceId }) => {
        return { pid, memoryMiB, gpuInstanceId: size > 16 ? gpuInstanceId : undefined };
      });
      const found = processesIn(memory, given.length);
      assert.deepEqual(
        found.map(({ pid, memoryMiB, gpuInstanceId }) => ({ pid, memoryMiB, gpuInstanceId })),
        want,
      );
    }),
  );
});

describe("who may use the library", () => {
  test("a reset waits for those inside and lets nobody in", async () => {
    const gate = new Gate();
    const seen: string[] = [];
    const inside = Promise.withResolvers<void>();
    const first = gate.shared(async () => {
      seen.push("first in");
      await inside.promise;
      seen.push("first out");
    });
    const reset = gate.alone(async () => {
      seen.push("reset");
    });
    const late = gate.shared(async () => {
      seen.push("late");
    });
    await Promise.resolve();
    inside.resolve();
    await Promise.all([first, reset, late]);
    assert.deepEqual(seen, ["first in", "first out", "reset", "late"]);
  });

  test("resets come one after the other, failed ones included", async () => {
    const gate = new Gate();
    let running = 0;
    const alone = (fails: string) =>
      gate.alone(async () => {
        running += 1;
        assert.equal(running, 1);
        await Promise.resolve();
        running -= 1;
        if (fails !== "") throw new Error(fails);
      });
    const results = await Promise.allSettled([alone("no"), alone(""), gate.shared(async () => {}), alone("no")]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["rejected", "fulfilled", "fulfilled", "rejected"],
    );
  });

  test("changes of one GPU come in order, those of another do not wait", async () => {
    const turns = new Turns();
    const seen: string[] = [];
    const open = Promise.withResolvers<void>();
    const first = turns.take("a", async () => {
      await open.promise;
      seen.push("a1");
      throw new Error("failed");
    });
    const second = turns.take("a", async () => seen.push("a2"));
    await turns.take("b", async () => seen.push("b"));
    open.resolve();
    await assert.rejects(first, /failed/);
    await second;
    assert.deepEqual(seen, ["b", "a1", "a2"]);
  });
});

describe("a PCI configuration space tells the hypervisor below a vGPU", () => {
  /** A space whose only capability holds these bytes behind its number and the end of the list. */
  const space = (capability: readonly number[], id = 0x09): Buffer => {
    const config = Buffer.alloc(256);
    config.writeUInt8(0x10, 0x06);
    config.writeUInt8(0x68, 0x34);
    config.set([id, 0, 3 + capability.length, ...capability], 0x68);
    return config;
  };
  const version = [...Buffer.from("460.16\0\0\0\0r460_00\0\0\0", "latin1")];
  const signature = [0x56, 0x46];
  const record = (id: number, bytes: readonly number[]): readonly number[] => [id, bytes.length + 2, ...bytes];
  const rows = [
    { name: "no capabilities", config: Buffer.alloc(256), want: "none" },
    { name: "another capability", config: space([0, 0], 0x05), want: "none" },
    { name: "a vendor capability without the letters", config: space([0x4d, 0x53]), want: "none" },
    {
      name: "the version is the first record",
      config: space([...signature, ...record(0, version)]),
      want: { driverVersion: "460.16", driverBranch: "r460_00" },
    },
    {
      name: "other records come first",
      config: space([...signature, ...record(2, [9]), ...record(1, []), ...record(0, version)]),
      want: { driverVersion: "460.16", driverBranch: "r460_00" },
    },
    { name: "no version record", config: space([...signature, ...record(3, [1])]), want: undefined },
    { name: "a record of no length", config: space([...signature, 1, 0, 0]), want: undefined },
    { name: "only what everybody may read", config: Buffer.alloc(64), want: undefined },
    { name: "nothing", config: undefined, want: undefined },
  ];
  for (const { name, config, want } of rows) test(name, () => assert.deepEqual(vgpuHostIn(config), want));

  test("any bytes are read to an end", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 256, maxLength: 256 }), (bytes) => {
        vgpuHostIn(Buffer.from(bytes));
      }),
    );
  });
});

test("a GPU has a fabric once it has been let into one", () => {
  const cluster = "7b968a6dc8aa45e19e07e1e51be99c31";
  const info = (state: number, status: number, id = cluster): Buffer => {
    const memory = Buffer.alloc(28);
    memory.write(id, "hex");
    memory.writeUInt32LE(status, 16);
    memory.writeUInt32LE(5, 20);
    memory.writeUInt8(state, 24);
    return memory;
  };
  const clusterUuid = "7b968a6d-c8aa-45e1-9e07-e1e51be99c31";
  assert.deepEqual(fabricIn(info(3, 0)), { clusterUuid, cliqueId: 5 });
  for (const other of [info(2, 0), info(3, 999), info(3, 0, "00".repeat(16))]) assert.equal(fabricIn(other), undefined);
});
