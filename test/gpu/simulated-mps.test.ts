/** MPS on simulated GPUs: who is a client, and what a client may have. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CudaOutOfMemoryError, modelById, SimulatedDriver } from "../../src/gpu/index.ts";

const directory = "/run/mps/gpu";
const pipeDirectory = `${directory}/pipe`;

/** A T4 of 15,360 MiB with a daemon that gives each client 4,000 MiB. */
async function shared(): Promise<{ readonly driver: SimulatedDriver; readonly deviceUuid: string }> {
  const model = modelById("t4-16gb") ?? assert.fail("no T4");
  const driver = new SimulatedDriver({ seed: "n", models: [model] });
  const deviceUuid = driver.boards[0]?.uuid ?? assert.fail("no GPU");
  await driver.mps.start({ directory, deviceUuid });
  await driver.mps.send({ directory, deviceUuid }, "set_default_device_pinned_mem_limit 0 4000M");
  return { driver, deviceUuid };
}

function outOfMemory(freeMiB: number, limitMiB: number) {
  return (error: unknown): boolean =>
    error instanceof CudaOutOfMemoryError && error.freeMiB === freeMiB && error.limitMiB === limitMiB;
}

test("a client may have the limit, at its start and later, and each client for itself", async () => {
  const { driver, deviceUuid: device } = await shared();
  const mps = { pipeDirectory, memoryMiB: undefined };
  assert.throws(() => driver.startProcess({ device, command: "a", memoryMiB: 4001, mps }), outOfMemory(4000, 4000));
  const { pid } = driver.startProcess({ device, command: "a", memoryMiB: 3000, mps });
  driver.growProcess(pid, 1000);
  assert.throws(() => driver.growProcess(pid, 1), outOfMemory(0, 4000));
  driver.startProcess({ device, command: "b", memoryMiB: 4000, mps });
});

test("a client's own limit counts where it is lower, never where it is higher", async () => {
  const { driver, deviceUuid: device } = await shared();
  const starts = (memoryMiB: number, own: number) => () =>
    driver.startProcess({ device, command: "a", memoryMiB, mps: { pipeDirectory, memoryMiB: own } });
  assert.throws(starts(1001, 1000), outOfMemory(1000, 1000));
  assert.throws(starts(4001, 9000), outOfMemory(4000, 4000));
});

test("a process that reaches no daemon is limited by nothing but the GPU", async () => {
  const { driver, deviceUuid: device } = await shared();
  const mps = { pipeDirectory: "/run/mps/elsewhere/pipe", memoryMiB: 1000 };
  driver.startProcess({ device, command: "a", memoryMiB: 9000, mps });
});

test("clients are listed while they run, and new limits are for servers that start later unless they name one", async () => {
  const { driver, deviceUuid } = await shared();
  const place = { directory, deviceUuid };
  const mps = { pipeDirectory, memoryMiB: undefined };
  assert.equal(await driver.mps.send(place, "get_server_list"), "");
  const { pid } = driver.startProcess({ device: deviceUuid, command: "a", memoryMiB: 1, mps });
  const server = (await driver.mps.send(place, "get_server_list")).trim();
  assert.equal(await driver.mps.send(place, `get_client_list ${server}`), `${pid}\n`);
  await driver.mps.send(place, "set_default_device_pinned_mem_limit 0 2000M");
  assert.equal(driver.mps.limitMiB(pipeDirectory, deviceUuid), 4000);
  await driver.mps.send(place, `set_device_pinned_mem_limit ${server} 0 2000M`);
  assert.equal(driver.mps.limitMiB(pipeDirectory, deviceUuid), 2000);
  driver.endProcess(pid);
  await new Promise(setImmediate);
  assert.equal(await driver.mps.send(place, `get_client_list ${server}`), "");
});

test("a daemon ends by quit and by a reboot, and refuses to be started twice or asked afterwards", async () => {
  const { driver, deviceUuid } = await shared();
  const place = { directory, deviceUuid };
  await assert.rejects(driver.mps.start(place), /already running/);
  await driver.mps.send(place, "quit");
  await assert.rejects(driver.mps.send(place, "get_server_list"), /Cannot find MPS control daemon process/);
  assert.deepEqual(await driver.mps.known("/run/mps"), [deviceUuid]);
  await driver.mps.start(place);
  driver.reboot();
  assert.deepEqual(await driver.mps.known("/run/mps"), []);
});
