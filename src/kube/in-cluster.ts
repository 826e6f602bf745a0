/**
 * The connection of a pod to its own cluster, as the kubelet mounts it (client-go, rest/config.go InClusterConfig).
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, systemClock } from "../base/index.ts";
import type { KubeConnection } from "./connection.ts";
import { tokenFromFile } from "./token-file.ts";

/** Where the kubelet mounts a service account. */
const serviceAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount";

export interface InClusterOptions {
  /** `KUBERNETES_SERVICE_HOST`. */
  readonly host: string;
  /** `KUBERNETES_SERVICE_PORT`. */
  readonly port: string;
  /** Default `/var/run/secrets/kubernetes.io/serviceaccount`. */
  readonly directory?: string;
  readonly clock?: Clock;
}

/** Reads the service account; throws when it is not mounted. The token is read again every minute. */
export async function inClusterConnection(options: InClusterOptions): Promise<KubeConnection> {
  const { host, port, directory = serviceAccountDirectory, clock = systemClock } = options;
  const token = tokenFromFile(join(directory, "token"), clock);
  // A pod without a token fails here and not at its first call.
  await token();
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    token,
    caData: await readFile(join(directory, "ca.crt"), "utf8"),
    namespace: (await readFile(join(directory, "namespace"), "utf8")).trim(),
  };
}
