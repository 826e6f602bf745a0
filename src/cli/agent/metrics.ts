/**
 * The agent's own counters for /metrics. What GPUs do is not among them.
 */
import type { AgentCounts, AgentStatus } from "../../agent/index.ts";
import type { Metric } from "../../insight/index.ts";

export interface MetricsInput {
  readonly node: string;
  readonly version: string;
  readonly simulated: boolean;
  readonly status: AgentStatus;
  /** When the process started, in milliseconds since the epoch. */
  readonly startMs: number;
  readonly residentBytes: number;
  readonly cpuSeconds: number;
}

const counters: readonly (readonly [keyof AgentCounts, string, string])[] = [
  ["turns", "turns", "Times that the agent looked at everything."],
  ["brokenTurns", "broken_turns", "Turns that broke off since something did not answer."],
  ["allocations", "allocations", "Answered calls of Allocate."],
  ["registrations", "registrations", "Registrations with the kubelet, those after its restarts included."],
  ["configChanges", "config_changes", "Times that another device plugin config came in force."],
  ["xids", "xid_errors", "XID errors that the driver has told of."],
];

/** Everything there is to tell, in a fixed order. */
export function agentMetrics(input: MetricsInput): readonly Metric[] {
  const { node, version, simulated, status, startMs, residentBytes, cpuSeconds } = input;
  const { counts, resources, pluginConfig, findings, lastTurnMs } = status;
  const bySeverity = (severity: string): number => findings.filter((one) => one.severity === severity).length;
  const configSamples =
    pluginConfig === undefined
      ? []
      : [
          {
            labels: { config: pluginConfig.name ?? "", hash: pluginConfig.hash ?? "" },
            value: pluginConfig.sinceMs / 1000,
          },
        ];
  return [
    gauge("info", "The agent: version, node, and whether its GPUs are simulated.", [
      { labels: { version, node, simulated: String(simulated) }, value: 1 },
    ]),
    gauge("ready", "Whether the driver answers and the kubelet shows what is offered.", [
      { value: Number(status.ready) },
    ]),
    gauge("driver_answers", "Whether the GPU driver answered last.", [{ value: Number(status.driverAnswers) }]),
    ...counters.map(
      ([key, name, help]): Metric => ({
        name: `tranche_agent_${name}_total`,
        type: "counter",
        help,
        samples: [{ value: counts[key] }],
      }),
    ),
    gauge(
      "last_turn_timestamp_seconds",
      "When the last turn ended, in Unix time.",
      lastTurnMs === undefined ? [] : [{ value: lastTurnMs / 1000 }],
    ),
    gauge("config_since_timestamp_seconds", "Since when the device plugin config is in force.", configSamples),
    gauge(
      "devices",
      "Devices offered to the kubelet.",
      resources.map(({ resource, devices }) => ({ labels: { resource }, value: devices })),
    ),
    gauge(
      "devices_healthy",
      "Offered devices that are healthy.",
      resources.map(({ resource, healthy }) => ({ labels: { resource }, value: healthy })),
    ),
    gauge(
      "resource_registered",
      "Whether the kubelet knows the resource.",
      resources.map(({ resource, registered }) => ({ labels: { resource }, value: Number(registered) })),
    ),
    gauge(
      "mps_clients",
      "Client processes of each MPS control daemon, as it told within the last ten seconds.",
      [...status.mpsClients].map(([gpu, clients]) => ({ labels: { gpu }, value: clients })),
    ),
    gauge(
      "findings",
      "Findings that stand now.",
      ["error", "warning", "info"].map((severity) => ({ labels: { severity }, value: bySeverity(severity) })),
    ),
    processMetric("process_start_time_seconds", "gauge", startMs / 1000),
    processMetric("process_resident_memory_bytes", "gauge", residentBytes),
    processMetric("process_cpu_seconds_total", "counter", cpuSeconds),
  ];
}

function gauge(name: string, help: string, samples: Metric["samples"]): Metric {
  return { name: `tranche_agent_${name}`, type: "gauge", help, samples };
}

/** The names that Prometheus' own clients use. */
function processMetric(name: string, type: Metric["type"], value: number): Metric {
  return { name, type, help: "Of the agent's process.", samples: [{ value }] };
}
