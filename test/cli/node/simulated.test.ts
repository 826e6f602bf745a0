/** The node's own commands over simulated GPUs. */
import { simulatedMachine } from "./machine.ts";
import { nodeCommandSuite } from "./suite.ts";

nodeCommandSuite("simulated GPUs", simulatedMachine);
