/**
 * The certificate the API server shows, made for each cluster and known to clients through the kubeconfig alone.
 */
import { generate } from "selfsigned";

export interface ServerCertificate {
  /** PEM; also what clients trust as authority. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
}

const dayMs = 24 * 60 * 60 * 1000;

/** Makes a self-signed certificate for 127.0.0.1 and localhost (EC P-256), valid for ten years from a day ago. */
export async function makeCertificate(nowMs: number): Promise<ServerCertificate> {
  const made = await generate([{ name: "commonName", value: "tranche embedded API server" }], {
    keyType: "ec",
    curve: "P-256",
    algorithm: "sha256",
    // A day of slack for clocks that differ.
    notBeforeDate: new Date(nowMs - dayMs),
    notAfterDate: new Date(nowMs + 3650 * dayMs),
    extensions: [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", digitalSignature: true, keyCertSign: true, critical: true },
      { name: "extKeyUsage", serverAuth: true },
      {
        name: "subjectAltName",
        altNames: [
          { type: 2, value: "localhost" },
          { type: 7, ip: "127.0.0.1" },
        ],
      },
    ],
  });
  return { cert: made.cert, key: made.private };
}
