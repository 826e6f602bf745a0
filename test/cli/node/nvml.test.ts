/** The node's own commands over NVML, on a double of NVIDIA's library. */
import { nvmlMachine } from "./nvml-machine.ts";
import { nodeCommandSuite } from "./suite.ts";

nodeCommandSuite("NVML", nvmlMachine);
