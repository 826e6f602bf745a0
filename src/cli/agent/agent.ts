/**
 * `tranche agent`: one node's agent as a process of its own, from its arguments to its end.
 */
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { NodeAgent } from "../../agent/index.ts";
import { errorText, type Finding, finding, type Outcome, systemClock } from "../../base/index.ts";
import { effectiveFlags, parseDevicePluginConfig } from "../../config/index.ts";
import { DriverError } from "../../gpu/index.ts";
import { expositionText } from "../../insight/index.ts";
import { type CommandContext, refuse } from "../node/context.ts";
import { openDriver } from "../node/open-driver.ts";
import type { AgentArguments } from "./command.ts";
import { readConfigSource, watchConfigSource } from "./config-source.ts";
import { type AgentApi, connectAgent } from "./connect.ts";
import { type Endpoints, serveEndpoints } from "./endpoints.ts";
import { lastingFile } from "./lasting-file.ts";
import { LateDriver } from "./late-driver.ts";
import { machineSide } from "./machine-side.ts";
import { agentMetrics } from "./metrics.ts";
import { NodeLock } from "./node-lock.ts";
import { Voice } from "./voice.ts";
import { withoutEffect } from "./without-effect.ts";

/** What the command line says, and which version this is. */
export interface RunArguments extends AgentArguments {
  readonly version: string;
}

/** What is to be ended, the last first. */
type Closers = (() => unknown)[];

/** Runs until the context's signal or SIGQUIT; the exit code is 0 then, and 1 when it could not start. */
export async function runAgent(args: RunArguments, context: CommandContext): Promise<number> {
  const closers: Closers = [];
  try {
    const started = await start(args, context, closers);
    if (!started.ok) return refuse(context, started.findings);
    await ended(context.signal);
    context.output.progress("ending");
    return 0;
  } finally {
    for (const close of closers.toReversed()) await close();
  }
}

async function start(args: RunArguments, context: CommandContext, closers: Closers): Promise<Outcome<undefined>> {
  const { output, log } = context;
  const { nodeName: node, machine, settings } = args;
  const devicePluginDirectory =
    args.kubeletSocket === undefined ? join(args.kubeletRoot, "device-plugins") : dirname(args.kubeletSocket);
  const lock = await NodeLock.take({ node, stateDir: machine.stateDir, devicePluginDirectory });
  if (!lock.ok) return lock;
  closers.push(() => lock.value.release());
  const connected = await connectAgent(args, process.env, log);
  if (!connected.ok) return connected;
  closers.push(() => connected.value.close());
  const driver = new LateDriver({
    simulated: machine.driver === "simulated",
    open: () => openDriver(machine, log),
    clock: systemClock,
    log,
  });
  closers.push(() => driver.close());
  const gpus = await driver.list().catch((error: unknown) => {
    if (error instanceof DriverError) return undefined;
    throw error;
  });
  // Simulated GPUs do not come later.
  if (gpus === undefined && (driver.simulated || (await failsOnInitError(args))))
    return { ok: false, findings: driver.findings() };
  const voice = new Voice(output);
  const fixed = [...connected.findings, ...withoutEffect(settings)];
  let lockFindings: readonly Finding[] = [];
  const agent: NodeAgent = new NodeAgent({
    node,
    driver,
    api: connected.value.api,
    kubeletRoot: args.kubeletRoot,
    devicePluginDirectory,
    podResourcesSocket: args.podResourcesSocket,
    clock: systemClock,
    log,
    ...machineSide(args, driver, driver.simulatedMps),
    configNamespace: args.namespace,
    lastGood: lastingFile(join(machine.stateDir, "last-good-config.json")),
    readLocal: async () => {
      lockFindings = await lock.value.keep();
      return { settings, configs: await readConfigSource(args) };
    },
    ownFindings: () => [...fixed, ...lockFindings, ...driver.findings()],
    onTurn: () => voice.tell(agent.status().findings),
  });
  const served = await serve(args, agent, closers);
  if (!served.ok) return served;
  closers.push(watchConfigSource(args, () => agent.wake()));
  const onHangUp = (): void => agent.wake();
  process.on("SIGHUP", onHangUp);
  closers.push(() => process.off("SIGHUP", onHangUp));
  agent.start();
  closers.push(() => agent.stop());
  output.progress(startLine(args, connected.value, { driver, gpus: gpus?.length, endpoints: served.value }));
  voice.tell(agent.status().findings);
  return { ok: true, value: undefined, findings: [] };
}

/** Resolves when the process is told to end. */
async function ended(signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    process.once("SIGQUIT", () => resolve());
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/**
 * Whether a driver that cannot be opened at the start is the end, as `failOnInitError` says on the command line, in the
 * environment or in the config file. The ClusterPolicy is not known yet.
 */
async function failsOnInitError(args: RunArguments): Promise<boolean> {
  const { configFile, settings } = args;
  const text = configFile === undefined ? "" : await readFile(configFile, "utf8").catch(() => "");
  const config = parseDevicePluginConfig(text, configFile ?? "");
  return effectiveFlags(config.ok ? config.value.flags : {}, [settings]).flags.failOnInitError;
}

async function serve(args: RunArguments, agent: NodeAgent, closers: Closers): Promise<Outcome<Endpoints | undefined>> {
  const { listen: address, heapSnapshot, nodeName: node, machine } = args;
  if (address === undefined) return { ok: true, value: undefined, findings: [] };
  const startMs = systemClock.now() - process.uptime() * 1000;
  const metricsText = (): string =>
    expositionText(
      agentMetrics({
        node,
        version: args.version,
        simulated: machine.driver === "simulated",
        status: agent.status(),
        startMs,
        residentBytes: process.memoryUsage.rss(),
        cpuSeconds: (process.cpuUsage().user + process.cpuUsage().system) / 1e6,
      }),
    );
  try {
    const value = await serveEndpoints({ address, status: () => agent.status(), startMs, metricsText, heapSnapshot });
    closers.push(() => value.close());
    return { ok: true, value, findings: [] };
  } catch (error) {
    const message = `cannot listen on ${address.host}:${address.port}: ${errorText(error)}`;
    const remedy = "name another address with --listen";
    return {
      ok: false,
      findings: [finding("port-in-use", { kind: "command", name: "--listen" }, message, { remedy })],
    };
  }
}

interface StartFacts {
  readonly driver: LateDriver;
  /** `undefined` while the driver does not answer. */
  readonly gpus: number | undefined;
  readonly endpoints: Endpoints | undefined;
}

function startLine(args: RunArguments, { name }: AgentApi, { driver, gpus, endpoints }: StartFacts): string {
  const kind = driver.simulated ? "simulated" : `driver ${driver.driverVersion}`;
  const seen = gpus === undefined ? "the driver does not answer yet" : `${gpus} GPU${gpus === 1 ? "" : "s"} (${kind})`;
  const at = endpoints === undefined ? "" : `; endpoints at ${endpoints.url}`;
  return `agent of ${args.nodeName}: ${seen}; ${name}${at}`;
}
