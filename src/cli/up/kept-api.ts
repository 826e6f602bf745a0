/**
 * The API server of a cluster: over the journal and with the identity of an earlier run, where something is kept.
 */
import { type Clock, errorText, type Finding, finding, type Logger, type TrancheError } from "../../base/index.ts";
import { type ApiServer, Journal, newServerIdentity, startApiServer } from "../../embedded/index.ts";
import { writeServer } from "./server-file.ts";
import type { StateDir } from "./state-dir.ts";

export interface KeptApiOptions {
  readonly stateDir: StateDir;
  /** `undefined` takes the port of the earlier run, or a free one. */
  readonly port: number | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  /** Told when what is kept cannot be written, and when it can again. */
  tell(one: Finding): void;
}

/** A server that runs; `close` answers with what could not be kept. */
export interface KeptApi {
  readonly api: ApiServer;
  close(): Promise<readonly Finding[]>;
}

/** Starts the server; throws what `startApiServer` throws, and what stands in the way of writing. */
export async function startKeptApi({ stateDir, port, clock, log, tell }: KeptApiOptions): Promise<KeptApi> {
  const { kept } = stateDir;
  const wanted = port ?? kept?.server?.port;
  const identity = kept?.server?.identity ?? (await newServerIdentity(clock.now()));
  const common = { clock, log, identity, ...(wanted === undefined ? {} : { port: wanted }) };
  if (kept === undefined) {
    const api = await startApiServer(common);
    return { api, close: () => api.close().then(() => []) };
  }
  const journal = new Journal({ path: kept.paths.journal, kept: kept.state, clock, tell });
  const closeJournal = async (): Promise<readonly Finding[]> => {
    const lost = await journal.close();
    return lost === undefined ? [] : [lost];
  };
  try {
    const api = await startApiServer({ ...common, journal });
    await writeServer(kept.paths.server, { port: api.port, identity });
    return { api, close: () => api.close().then(closeJournal) };
  } catch (error) {
    await closeJournal();
    throw error;
  }
}

/** Why the server could not be started, if the user can do something about it. */
export function startFinding({ port, stateDir }: KeptApiOptions, error: TrancheError): Finding | undefined {
  const message = errorText(error);
  if (error.code === "journal-not-written") {
    const remedy = "make room or give access, or use another --state-dir";
    return finding("journal-not-written", { kind: "file", name: stateDir.path }, message, { remedy });
  }
  if (error.code !== "port-in-use") return undefined;
  if (port !== undefined) {
    const remedy = "choose another port, or leave --port out for a free one";
    return finding("port-in-use", { kind: "command", name: `--port ${port}` }, message, { remedy });
  }
  const remedy = "end that program, or choose another port with --port: kubeconfigs of before then no longer fit";
  return finding("port-in-use", { kind: "file", name: stateDir.path }, `${message}; the cluster had it before`, {
    remedy,
  });
}
