/**
 * Where an API server is and how to prove who is asking.
 */

/** Gives the bearer token to use now; called before each request. */
export type TokenSource = () => Promise<string>;

export interface KubeConnection {
  /** For example `https://10.0.0.1:6443` or `http://127.0.0.1:8080`. */
  readonly server: string;
  readonly token?: string | TokenSource;
  /** PEM of the certificate authorities to trust instead of the system's. */
  readonly caData?: string;
  /** PEM of a client certificate, with `clientKeyData`. */
  readonly clientCertData?: string;
  readonly clientKeyData?: string;
  /** The name to expect in the server's certificate instead of its host name. */
  readonly tlsServerName?: string;
  /** Accepts any certificate; only where a kubeconfig says `insecure-skip-tls-verify`. */
  readonly insecureSkipTlsVerify?: boolean;
  /** The namespace a kubeconfig context or a service account names. */
  readonly namespace?: string;
}
