/** A process that starts everything in the directory it is given, stops it, and then has nothing left to do. */
import { join } from "node:path";
import { DevicePluginHost, PodResourcesClient, servePodResources } from "../../../src/kubelet/index.ts";
import { until } from "../../support/until.ts";
import { offersOf } from "./fixtures.ts";
import { KubeletStandIn } from "./stand-in.ts";

const directory = process.argv[2] ?? "";
const kubelet = new KubeletStandIn(directory);
const host = new DevicePluginHost({ directory });
const socketPath = join(directory, "pod-resources", "kubelet.sock");
const podResources = await servePodResources({ socketPath, list: () => [], allocatable: () => [] });
const client = new PodResourcesClient({ socketPath });

await kubelet.start();
host.start();
await host.offer(offersOf({ "nvidia.com/gpu": "GPU-a", "nvidia.com/mig-1g.10gb": "MIG-a" }));
await until(
  "the kubelet knows both",
  () => kubelet.devices("nvidia.com/gpu") && kubelet.devices("nvidia.com/mig-1g.10gb"),
);
await client.list();

client.close();
await host.stop();
await kubelet.stop();
await podResources.close();
console.log("stopped");
