/**
 * By what clients know the API server, kept so that a kubeconfig of an earlier run works again. Secret.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { errorText, finding, isErrno, type Outcome } from "../../base/index.ts";
import type { ServerIdentity } from "../../embedded/index.ts";
import { writeWhole } from "../node/atomic-file.ts";
import { isRecord } from "./control-protocol.ts";

const VERSION = 1;
/** What the server takes from clients: no guess, and fit for a header. */
const TOKEN = /^[\w-]{20,}$/;

/** The server of an earlier run. */
export interface KeptServer {
  readonly port: number;
  readonly identity: ServerIdentity;
}

/** Reads the file at `path`; `undefined` where there is none. */
export async function readServer(path: string): Promise<Outcome<KeptServer | undefined>> {
  try {
    const server = serverOf(JSON.parse(await readFile(path, "utf8")));
    if (server !== undefined) return { ok: true, value: server, findings: [] };
    return unreadable(path, "it is damaged, or was not written by this version");
  } catch (error) {
    if (isErrno(error, "ENOENT")) return { ok: true, value: undefined, findings: [] };
    return unreadable(path, errorText(error));
  }
}

/** Writes it, mode 0600. */
export async function writeServer(path: string, { port, identity }: KeptServer): Promise<void> {
  const { token, certificate } = identity;
  await writeWhole(path, `${JSON.stringify({ version: VERSION, port, token, certificate })}\n`);
}

function serverOf(value: unknown): KeptServer | undefined {
  if (!isRecord(value) || value["version"] !== VERSION) return undefined;
  const { port, token, certificate } = value;
  if (!isPort(port) || typeof token !== "string" || !TOKEN.test(token) || !isRecord(certificate)) return undefined;
  const { cert, key } = certificate;
  if (typeof cert !== "string" || typeof key !== "string" || !belongTogether(cert, key)) return undefined;
  return { port, identity: { token, certificate: { cert, key } } };
}

function isPort(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 65_535;
}

function belongTogether(cert: string, key: string): boolean {
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

function unreadable(path: string, why: string): Outcome<never> {
  const message = `cannot read ${path}: ${why}`;
  const remedy =
    "remove the file: the server gets a new token and certificate, and kubeconfigs of before no longer fit";
  return { ok: false, findings: [finding("state-dir-unusable", { kind: "file", name: path }, message, { remedy })] };
}
