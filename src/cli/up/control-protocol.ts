/**
 * What `tranche fault` and a running `tranche up` say to each other: HTTP over a unix socket, JSON both ways.
 *
 * | request           | body                       | answer                              |
 * |-------------------|----------------------------|-------------------------------------|
 * | `GET /v1/cluster` |                            | `ClusterFacts`                      |
 * | `POST /v1/faults` | `{ version, fault }`       | `{ version, report }` or `{ version, findings }` |
 *
 * Both ends carry the version; another one is refused, so that an old `up` and a new `fault` never misread each other.
 */
import type { Finding } from "../../base/index.ts";

export const CONTROL_VERSION = 1;
/** The socket's name in the state directory. */
export const CONTROL_SOCKET = "control.sock";
export const CLUSTER_PATH = "/v1/cluster";
export const FAULTS_PATH = "/v1/faults";
/** No fault lasts longer: one day. */
export const LONGEST_FAULT_MS = 24 * 3_600_000;

/** Something that goes wrong on command. Durations are above 0 and at most `LONGEST_FAULT_MS`. */
export type Fault =
  | { readonly kind: "gpu"; readonly node: string; readonly index: number; readonly xid: number }
  /** Until it is ended, or for `forMs`. */
  | { readonly kind: "driver"; readonly node: string; readonly forMs?: number }
  | { readonly kind: "driver-end"; readonly node: string }
  | { readonly kind: "kubelet-restart"; readonly node: string }
  | { readonly kind: "node-reboot"; readonly node: string }
  | { readonly kind: "api-outage"; readonly forMs: number };

/** What was done, in words for people. */
export interface FaultReport {
  /** One sentence each, the most important first. */
  readonly done: readonly string[];
  /** Commands that show the effect. */
  readonly lookAt: readonly string[];
}

/** Tells one running cluster from another. */
export interface ClusterFacts {
  readonly version: number;
  readonly pid: number;
  readonly stateDir: string;
  readonly nodes: readonly string[];
}

export type FaultAnswer =
  | { readonly ok: true; readonly report: FaultReport }
  | { readonly ok: false; readonly findings: readonly Finding[] };

/** What a request asks for, or what is wrong with it. */
export type ParsedFault =
  | { readonly ok: true; readonly fault: Fault }
  | { readonly ok: false; readonly problem: string };

/** Reads the body of `POST /v1/faults`. */
export function parseFault(body: unknown): ParsedFault {
  if (!isRecord(body)) return bad("the request is no JSON object");
  const { version, fault } = body;
  if (version !== CONTROL_VERSION) {
    return bad(`the request has version ${JSON.stringify(version)}, this cluster speaks version ${CONTROL_VERSION}`);
  }
  if (!isRecord(fault)) return bad("the request names no fault");
  return faultOf(fault);
}

function faultOf({ kind, node, index, xid, forMs }: Record<string, unknown>): ParsedFault {
  if (kind === "api-outage") return isDuration(forMs) ? good({ kind, forMs }) : badDuration();
  if (typeof node !== "string" || node === "") return bad("the fault names no node");
  switch (kind) {
    case "gpu":
      if (!isCount(index)) return bad("the index of the GPU is no whole number from 0");
      if (!isCount(xid)) return bad("the XID is no whole number from 0");
      return good({ kind, node, index, xid });
    case "driver":
      if (forMs === undefined) return good({ kind, node });
      return isDuration(forMs) ? good({ kind, node, forMs }) : badDuration();
    case "driver-end":
    case "kubelet-restart":
    case "node-reboot":
      return good({ kind, node });
    default:
      return bad(`there is no fault ${JSON.stringify(kind)}`);
  }
}

/** Reads the answer to `POST /v1/faults`; `undefined` when it is none. */
export function parseFaultAnswer(body: unknown): FaultAnswer | undefined {
  if (!isRecord(body) || body["version"] !== CONTROL_VERSION) return undefined;
  const { report, findings } = body;
  if (isRecord(report) && isTexts(report["done"]) && isTexts(report["lookAt"])) {
    return { ok: true, report: { done: report["done"], lookAt: report["lookAt"] } };
  }
  return Array.isArray(findings) && findings.every(isFinding) ? { ok: false, findings } : undefined;
}

/** Reads the answer to `GET /v1/cluster`; `undefined` when it is none. */
export function parseClusterFacts(body: unknown): ClusterFacts | undefined {
  if (!isRecord(body)) return undefined;
  const { version, pid, stateDir, nodes } = body;
  if (!isCount(version) || !isCount(pid) || typeof stateDir !== "string" || !isTexts(nodes)) return undefined;
  return { version, pid, stateDir, nodes };
}

/** Whether a value is an object with fields, neither a list nor null. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isDuration(value: unknown): value is number {
  return typeof value === "number" && value > 0 && value <= LONGEST_FAULT_MS;
}

/** The other end makes findings with the same function; what is printed of them is checked. */
function isFinding(value: unknown): value is Finding {
  if (!isRecord(value) || !isRecord(value["subject"])) return false;
  const texts = [value["code"], value["severity"], value["message"], value["remedy"], value["subject"]["name"]];
  return texts.every((one) => typeof one === "string");
}

function good(fault: Fault): ParsedFault {
  return { ok: true, fault };
}

function bad(problem: string): ParsedFault {
  return { ok: false, problem };
}

function badDuration(): ParsedFault {
  return bad(`the duration is no number of milliseconds above 0 and at most ${LONGEST_FAULT_MS}`);
}
