/** A proxy before an API server that writes down what is asked, in the words of RBAC. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { request } from "node:https";
import type { TestContext } from "node:test";
import type { KubeConnection } from "../../src/kube/index.ts";

/** `list nodes`, `patch nodes`, `watch configmaps in gpu-operator`. */
export interface ApiCall {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly namespace: string | undefined;
}

export class RecordingProxy {
  readonly calls: ApiCall[] = [];
  readonly url: string;

  private constructor(url: string) {
    this.url = url;
  }

  /** Listens until the test ends. */
  static async start(t: TestContext, to: KubeConnection): Promise<RecordingProxy> {
    const server = createServer((asked, answered) => {
      const call = callOf(asked);
      if (call !== undefined) proxy.calls.push(call);
      forward(asked, answered, to);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    const address = server.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const proxy = new RecordingProxy(`http://127.0.0.1:${port}`);
    return proxy;
  }

  /** A kubeconfig of the proxy; its token is that of the server. */
  kubeconfig(token: string): string {
    return JSON.stringify({
      "current-context": "proxy",
      contexts: [{ name: "proxy", context: { cluster: "proxy", user: "proxy" } }],
      clusters: [{ name: "proxy", cluster: { server: this.url } }],
      users: [{ name: "proxy", user: { token } }],
    });
  }
}

function forward(asked: IncomingMessage, answered: ServerResponse, { server, caData }: KubeConnection): void {
  const { method, headers } = asked;
  const onward = request(`${server}${asked.url}`, { method, headers, ca: caData }, (reply) => {
    answered.writeHead(reply.statusCode ?? 502, reply.headers);
    answered.flushHeaders();
    reply.pipe(answered);
  });
  onward.on("error", () => answered.destroy());
  answered.on("close", () => onward.destroy());
  asked.pipe(onward);
}

function callOf({ method, url = "" }: IncomingMessage): ApiCall | undefined {
  const { pathname, searchParams } = new URL(url, "http://proxy");
  const core = /^\/api\/v1(?:\/namespaces\/([^/]+))?\/([a-z]+)(?:\/([^/]+))?(?:\/([a-z]+))?$/.exec(pathname);
  const named = /^\/apis\/([^/]+)\/[^/]+(?:\/namespaces\/([^/]+))?\/([a-z]+)(?:\/([^/]+))?(?:\/([a-z]+))?$/.exec(
    pathname,
  );
  const [group, namespace, plural = "", name, sub] = core === null ? (named?.slice(1) ?? []) : ["", ...core.slice(1)];
  if (core === null && named === null) return undefined;
  const resource = sub === undefined ? plural : `${plural}/${sub}`;
  return { verb: verbOf(method, name, searchParams.has("watch")), group: group ?? "", resource, namespace };
}

function verbOf(method: string | undefined, name: string | undefined, watches: boolean): string {
  if (method === "GET") return watches ? "watch" : name === undefined ? "list" : "get";
  return { POST: "create", PUT: "update", PATCH: "patch", DELETE: "delete" }[method ?? ""] ?? String(method);
}
