/**
 * Talks to the control socket of a running `up`.
 */
import { request } from "node:http";
import { errorText, isErrno } from "../../base/index.ts";
import {
  CLUSTER_PATH,
  type ClusterFacts,
  CONTROL_VERSION,
  FAULTS_PATH,
  type Fault,
  type FaultAnswer,
  parseClusterFacts,
  parseFaultAnswer,
} from "../up/control-protocol.ts";

/** A reboot of a node with pods takes a second or two; this is for a process that has been stopped. */
const ANSWER_TIMEOUT_MS = 60_000;
const FACTS_TIMEOUT_MS = 5_000;

/** What came of a request. */
export type Reached<T> =
  | { readonly kind: "answer"; readonly value: T }
  /** Nobody listens there. */
  | { readonly kind: "gone" }
  | { readonly kind: "failed"; readonly problem: string };

/** Which cluster listens at the socket. */
export function readFacts(socketPath: string, signal: AbortSignal): Promise<Reached<ClusterFacts>> {
  const call = { socketPath, method: "GET", path: CLUSTER_PATH, timeoutMs: FACTS_TIMEOUT_MS, signal };
  return exchange(call, undefined, parseClusterFacts);
}

/** Asks the cluster for a fault. */
export function sendFault(socketPath: string, fault: Fault, signal: AbortSignal): Promise<Reached<FaultAnswer>> {
  const call = { socketPath, method: "POST", path: FAULTS_PATH, timeoutMs: ANSWER_TIMEOUT_MS, signal };
  return exchange(call, { version: CONTROL_VERSION, fault }, parseFaultAnswer);
}

interface Call {
  readonly socketPath: string;
  readonly method: string;
  readonly path: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

async function exchange<T>(call: Call, body: unknown, parse: (body: unknown) => T | undefined): Promise<Reached<T>> {
  try {
    const value = parse(JSON.parse(await send(call, body)));
    return value === undefined
      ? { kind: "failed", problem: "it answered in a way that this version does not know" }
      : { kind: "answer", value };
  } catch (error) {
    if (call.signal.aborted) throw error;
    const isGone = ["ECONNREFUSED", "ENOENT", "ENOTSOCK", "ENOTDIR"].some((code) => isErrno(error, code));
    return isGone ? { kind: "gone" } : { kind: "failed", problem: errorText(error) };
  }
}

function send({ socketPath, method, path, timeoutMs, signal }: Call, body: unknown): Promise<string> {
  const text = body === undefined ? "" : JSON.stringify(body);
  const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) };
  return new Promise((resolve, reject) => {
    const deadline = AbortSignal.timeout(timeoutMs);
    const both = AbortSignal.any([signal, deadline]);
    const fail = (error: unknown): void => {
      reject(deadline.aborted ? new Error(`no answer within ${timeoutMs / 1000} s`) : error);
    };
    const sent = request({ socketPath, method, path, headers, signal: both }, (response) => {
      response.setEncoding("utf8");
      let answer = "";
      response.on("data", (chunk: string) => {
        answer += chunk;
      });
      response.on("error", fail);
      response.on("end", () => resolve(answer));
    });
    sent.on("error", fail);
    sent.end(text);
  });
}
