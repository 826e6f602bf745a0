/** The device manager's checkpoint file. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import {
  CheckpointFile,
  checkpointText,
  parseCheckpoint,
  readCheckpoint,
} from "../../src/embedded/kubelet/checkpoint.ts";

const directory = await mkdtemp(join(tmpdir(), "tranche-checkpoint-"));
after(() => rm(directory, { recursive: true }));

const answer = {
  envs: { NVIDIA_VISIBLE_DEVICES: "GPU-a" },
  mounts: [{ containerPath: "/c", hostPath: "/dev/null", readOnly: true }],
  devices: [{ containerPath: "/dev/nvidia0", hostPath: "/dev/nvidia0", permissions: "rw" }],
  annotations: { "cdi.k8s.io/x": "y" },
  cdiDevices: ["k8s.device-plugin.nvidia.com/gpu=GPU-a"],
};
const checkpoint = {
  holdings: [
    { podUid: "u1", container: "main", resource: "nvidia.com/gpu", deviceIds: ["GPU-a::0", "GPU-b::0"], answer },
  ],
  registered: { "nvidia.com/gpu": ["GPU-a::0", "GPU-b::0", "GPU-b::1"] },
};
const text = checkpointText(checkpoint, (_, id) => (id.startsWith("GPU-b") ? 1 : undefined));

test("what was written is read back", () => {
  assert.deepEqual(parseCheckpoint(text), {
    ...checkpoint,
    // Grouped by NUMA node; `1` sorts before `-1` in a JavaScript object.
    holdings: [{ ...checkpoint.holdings[0], deviceIds: ["GPU-b::0", "GPU-a::0"] }],
  });
});

test("the file has the kubelet's shape", () => {
  const { Data: data } = JSON.parse(text);
  const { AllocResp: _, ...entry } = data.PodDeviceEntries[0];
  assert.deepEqual(entry, {
    PodUID: "u1",
    ContainerName: "main",
    ResourceName: "nvidia.com/gpu",
    DeviceIDs: { "-1": ["GPU-a::0"], "1": ["GPU-b::0"] },
  });
  assert.deepEqual(data.RegisteredDevices, checkpoint.registered);
});

test("a changed file is refused", async () => {
  const path = join(directory, "changed");
  await writeFile(path, text.replace("u1", "u2"));
  await assert.rejects(readCheckpoint(path), /checkpoint .*changed cannot be read/);
});

test("a file cut short is refused", async () => {
  const path = join(directory, "short");
  await writeFile(path, text.slice(0, 100));
  await assert.rejects(readCheckpoint(path), /cannot be read/);
});

test("no file is no checkpoint", async () => {
  assert.equal(await readCheckpoint(join(directory, "none")), undefined);
});

test("saves that come together end with the last content and leave no other file", async () => {
  const folder = await mkdtemp(join(directory, "saves-"));
  let count = 0;
  let writes = 0;
  const file = new CheckpointFile(join(folder, "file"), () => {
    writes += 1;
    return String(count);
  });
  const saves = Array.from({ length: 20 }, () => {
    count += 1;
    return file.save();
  });
  await Promise.all(saves);
  assert.equal(await readFile(join(folder, "file"), "utf8"), "20");
  assert.deepEqual(await readdir(folder), ["file"]);
  assert.equal(writes, 2);
});
