/**
 * From a kubeconfig to a connection (client-go, tools/clientcmd/api/v1/types.go).
 *
 * Takes the parsed object, since reading YAML is not this room's business.
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { type Clock, errorText, finding, type Outcome, systemClock } from "../base/index.ts";
import type { KubeConnection } from "./connection.ts";
import { isRecord } from "./json.ts";
import { tokenFromFile } from "./token-file.ts";

export interface KubeconfigOptions {
  /** Default: the file's `current-context`. */
  readonly context?: string;
  /** Where the file is; paths in it start there. Default: the working directory. */
  readonly directory?: string;
  readonly clock?: Clock;
}

/** What is wrong with a kubeconfig; never leaves this file. */
class Unusable extends Error {
  readonly remedy: string;

  constructor(message: string, remedy: string) {
    super(message);
    this.remedy = remedy;
  }
}

/** The connection a kubeconfig describes, or one finding `kubeconfig-unusable`. Reads the files it points to. */
export function connectionFromKubeconfig(value: unknown, options: KubeconfigOptions = {}): Outcome<KubeConnection> {
  try {
    return { ok: true, value: readKubeconfig(value, options), findings: [] };
  } catch (error) {
    if (!(error instanceof Unusable)) throw error;
    const subject = { kind: "config", name: "kubeconfig" } as const;
    const found = finding("kubeconfig-unusable", subject, error.message, { remedy: error.remedy });
    return { ok: false, findings: [found] };
  }
}

function readKubeconfig(value: unknown, options: KubeconfigOptions): KubeConnection {
  if (!isRecord(value)) throw new Unusable("the kubeconfig is not an object", "name a file that kubectl can use");
  const contextName = options.context ?? text(value, "current-context");
  if (contextName === undefined) {
    throw new Unusable("the kubeconfig has no current-context", "choose one with kubectl config use-context NAME");
  }
  const context = named(value, "contexts", "context", contextName);
  const cluster = named(value, "clusters", "cluster", text(context, "cluster") ?? "");
  const userName = text(context, "user");
  const user = userName === undefined ? {} : named(value, "users", "user", userName);
  const server = text(cluster, "server");
  if (server === undefined || !URL.canParse(server)) {
    throw new Unusable(`context ${contextName} names no server URL`, "set clusters[].cluster.server");
  }
  assertSupported(cluster, user, userName ?? "");
  const { directory = ".", clock = systemClock } = options;
  return {
    server,
    ...optional("caData", pem(cluster, "certificate-authority", directory)),
    ...optional("clientCertData", pem(user, "client-certificate", directory)),
    ...optional("clientKeyData", pem(user, "client-key", directory)),
    ...tokenOf(user, directory, clock),
    ...optional("tlsServerName", text(cluster, "tls-server-name")),
    ...optional("namespace", text(context, "namespace")),
    ...(cluster["insecure-skip-tls-verify"] === true ? { insecureSkipTlsVerify: true } : {}),
  };
}

/** Refuses what would otherwise be passed over: another way to the server, or other rights than the file says. */
function assertSupported(cluster: Record<string, unknown>, user: Record<string, unknown>, userName: string): void {
  if (isRecord(user["exec"]) || isRecord(user["auth-provider"])) {
    throw new Unusable(
      `user ${userName} gets its credentials from a program, which is not supported`,
      "use a context with a token or a client certificate, for example from kubectl create token",
    );
  }
  const [as, proxy] = [text(user, "as"), text(cluster, "proxy-url")];
  if (as !== undefined) {
    throw new Unusable(
      `user ${userName} acts as ${as}, which is not supported`,
      "use a context whose user has the rights itself",
    );
  }
  if (proxy !== undefined) {
    throw new Unusable(
      `the context reaches its cluster through ${proxy}, and proxies are not supported`,
      "use a context that reaches the API server without one",
    );
  }
}

/** A token in a file is followed, and goes before one in the text. */
function tokenOf(user: Record<string, unknown>, directory: string, clock: Clock): Pick<KubeConnection, "token"> {
  const file = text(user, "tokenFile");
  if (file === undefined) return optional("token", text(user, "token"));
  // A file that is not there is found now and not at the first call.
  fileContent(file, directory);
  return { token: tokenFromFile(resolve(directory, file), clock) };
}

/** The entry called `name` of a list of `{name, [field]: …}`. */
function named(config: Record<string, unknown>, list: string, field: string, name: string): Record<string, unknown> {
  const entries = config[list];
  const entry = Array.isArray(entries) ? entries.find((one) => isRecord(one) && one["name"] === name) : undefined;
  const found = isRecord(entry) ? entry[field] : undefined;
  if (isRecord(found)) return found;
  throw new Unusable(`the kubeconfig has no ${field} "${name}"`, `choose another context or add it under ${list}`);
}

/** `<field>-data` in base64 goes before the path in `<field>`. */
function pem(from: Record<string, unknown>, field: string, directory: string): string | undefined {
  const encoded = text(from, `${field}-data`);
  if (encoded !== undefined) return Buffer.from(encoded, "base64").toString("utf8");
  return fileContent(text(from, field), directory);
}

function fileContent(path: string | undefined, directory: string): string | undefined {
  if (path === undefined) return undefined;
  const absolute = resolve(directory, path);
  try {
    return readFileSync(absolute, "utf8");
  } catch (error) {
    throw new Unusable(`the kubeconfig points to ${absolute}: ${errorText(error)}`, "correct the path");
  }
}

/** A string that is there and not empty. */
function text(from: Record<string, unknown>, field: string): string | undefined {
  const value = from[field];
  return typeof value === "string" && value !== "" ? value : undefined;
}

function optional<K extends string>(key: K, value: string | undefined): { readonly [P in K]?: string } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]: string });
}
