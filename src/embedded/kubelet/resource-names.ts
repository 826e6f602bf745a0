/**
 * Which names are extended resources: what a device plugin may register, what nodes and containers count in whole pieces.
 */

/** The rules of Kubernetes pkg/apis/core/v1/helper `IsExtendedResourceName`. */
export function isExtendedResourceName(name: string): boolean {
  if (!name.includes("/") || name.includes("kubernetes.io/") || name.startsWith("requests.")) return false;
  const [prefix = "", base = "", ...rest] = name.split("/");
  // The quota of a resource is named `requests.<resource>`, so that has to fit as well.
  const dns = `requests.${prefix}`;
  const isDns = dns.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(dns);
  return rest.length === 0 && isDns && base.length <= 63 && /^[A-Za-z0-9]([-\w.]*[A-Za-z0-9])?$/.test(base);
}
