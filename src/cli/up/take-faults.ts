/**
 * A running cluster that takes faults: its control socket, and its place on the list of running clusters.
 */
import { join } from "node:path";
import type { Clock, Finding, Logger } from "../../base/index.ts";
import type { Cluster } from "./cluster.ts";
import { serveControl } from "./control.ts";
import { CONTROL_SOCKET } from "./control-protocol.ts";
import { Faults } from "./faults.ts";
import { type Environment, listCluster } from "./running.ts";

export interface TakeFaultsOptions {
  readonly cluster: Cluster;
  readonly env: Environment;
  readonly clock: Clock;
  readonly log: Logger;
  /** Takes one line about a fault that was caused. */
  tell(line: string): void;
}

/** From now on until `close`. `findings` tell if `tranche fault` cannot find the cluster by itself. */
export interface FaultTaking {
  readonly findings: readonly Finding[];
  /** Takes no more, and ends the faults that are in force. */
  close(): Promise<void>;
}

export async function takeFaults({ cluster, env, clock, log, tell }: TakeFaultsOptions): Promise<FaultTaking> {
  const { stateDirectory: stateDir } = cluster;
  const nodes = cluster.nodes.map((one) => one.name);
  const faults = new Faults({ cluster, clock, log });
  const socketPath = join(stateDir, CONTROL_SOCKET);
  const control = await serveControl({
    socketPath,
    facts: { pid: process.pid, stateDir, nodes },
    log,
    cause: async (fault) => {
      const caused = await faults.cause(fault);
      if (caused.ok) tell(`fault: ${caused.report.done[0]}`);
      return caused;
    },
  });
  const listed = await listCluster(socketPath, env);
  return {
    findings: "problem" in listed ? [listed.problem] : [],
    close: async () => {
      if ("remove" in listed) await listed.remove();
      await control.close();
      await faults.close();
    },
  };
}
