/**
 * Which names and labels Kubernetes takes on a node (apimachinery pkg/util/validation), so that a node it would refuse
 * is a finding before anything runs.
 */

const DNS_LABEL = "[a-z0-9](?:[-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN = new RegExp(`^${DNS_LABEL}(?:\\.${DNS_LABEL})*$`);
const LABEL_NAME = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const MAX_LENGTH = 63;
const MAX_PREFIX_LENGTH = 253;

/** Whether a node may be called so; 63 characters at most, since the name is also a label's value. */
export function isNodeName(name: string): boolean {
  return name.length <= MAX_LENGTH && SUBDOMAIN.test(name);
}

/** What is wrong with a label, `undefined` if nothing. */
export function labelProblem(key: string, value: string): string | undefined {
  if (!isLabelKey(key)) return `${JSON.stringify(key)} is no label key`;
  if (value === "" || (value.length <= MAX_LENGTH && LABEL_NAME.test(value))) return undefined;
  return `${JSON.stringify(value)} is no value for label ${key}`;
}

/** `zone` or `example.com/zone`. */
function isLabelKey(key: string): boolean {
  const [name = "", prefix, ...more] = key.split("/").reverse();
  if (more.length > 0 || name.length > MAX_LENGTH || !LABEL_NAME.test(name)) return false;
  return prefix === undefined || (prefix.length <= MAX_PREFIX_LENGTH && SUBDOMAIN.test(prefix));
}
