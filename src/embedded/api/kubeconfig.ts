/**
 * The kubeconfig by which kubectl finds the embedded cluster.
 */

export interface KubeconfigFacts {
  readonly url: string;
  readonly token: string;
  /** PEM. */
  readonly caCert: string;
}

/** The text of a kubeconfig with one context; it holds the token, so whoever writes it keeps it from other users. */
export function kubeconfigText({ url, token, caCert }: KubeconfigFacts): string {
  return `apiVersion: v1
kind: Config
clusters:
  - name: tranche
    cluster:
      server: ${url}
      certificate-authority-data: ${Buffer.from(caCert).toString("base64")}
users:
  - name: tranche
    user:
      token: ${token}
contexts:
  - name: tranche
    context:
      cluster: tranche
      user: tranche
      namespace: default
current-context: tranche
`;
}
