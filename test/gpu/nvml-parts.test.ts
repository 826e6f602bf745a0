/** Parts of the NVML driver that need no library: who may call at the same time, and what text and memory mean. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { sysfsBusId } from "../../src/gpu/nvml/facts.ts";
import { resetCommand } from "../../src/gpu/nvml/gpu-reset.ts";
import { originIn } from "../../src/gpu/nvml/host-processes.ts";
import { Gate, Turns } from "../../src/gpu/nvml/lock.ts";
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
    { busId: "00010000:81:00.0", want: "00010000:81:00.0" },
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
