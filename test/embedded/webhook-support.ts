/** A webhook for tests: a real HTTPS server on the loopback interface that answers as it is told. */
import { createServer } from "node:https";
import { makeCertificate } from "../../src/embedded/api/tls.ts";
import type { Body } from "./api-support.ts";

/** What to answer a request with; `undefined` never answers. */
export type Judge = (request: Body) => object | undefined;

export interface WebhookServer {
  readonly url: string;
  /** Base64 of the certificate to trust. */
  readonly caBundle: string;
  /** The `request` of every review so far. */
  readonly seen: readonly Body[];
  judge: Judge;
  forget(): void;
  close(): Promise<void>;
}

/** Starts one that allows everything until told otherwise. */
export async function startWebhook(): Promise<WebhookServer> {
  const certificate = await makeCertificate(Date.now());
  const seen: Body[] = [];
  const hook: { judge: Judge } = { judge: () => ({ allowed: true }) };
  const server = createServer(certificate, (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const review: { request: Body } = JSON.parse(Buffer.concat(chunks).toString("utf8"));
      seen.push(review.request);
      const answer = hook.judge(review.request);
      if (answer === undefined) return;
      const body = { uid: review.request["uid"], ...answer };
      response.end(JSON.stringify({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", response: body }));
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `https://localhost:${port}/review`,
    caBundle: Buffer.from(certificate.cert).toString("base64"),
    seen,
    get judge() {
      return hook.judge;
    },
    set judge(judge) {
      hook.judge = judge;
    },
    forget: () => {
      seen.length = 0;
    },
    close: async () => {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      server.closeAllConnections();
      await closed;
    },
  };
}

/** The answer that changes an object by a JSON patch. */
export function patching(...operations: readonly object[]): object {
  return { allowed: true, patchType: "JSONPatch", patch: Buffer.from(JSON.stringify(operations)).toString("base64") };
}
