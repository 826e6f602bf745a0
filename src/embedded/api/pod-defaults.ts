/**
 * What the API server fills into pods (kubernetes, pkg/apis/core/v1/defaults.go; admission DefaultTolerationSeconds).
 */
import { isObject, type Json, type JsonObject, listAt, objectAt, textAt, withField } from "./json.ts";
import { normalQuantities } from "./quantities.ts";

/** Fills a pod's spec; safe to repeat. */
export function defaultPodSpec(spec: JsonObject): JsonObject {
  const filled: JsonObject = {
    restartPolicy: "Always",
    terminationGracePeriodSeconds: 30,
    dnsPolicy: "ClusterFirst",
    schedulerName: "default-scheduler",
    securityContext: {},
    ...withoutNulls(spec),
  };
  let result: JsonObject = { ...filled, containers: listAt(spec, "containers").map(defaultContainer) };
  if (spec["initContainers"] !== undefined) {
    result = { ...result, initContainers: listAt(spec, "initContainers").map(defaultContainer) };
  }
  if (isObject(spec["overhead"])) result = withField(result, "overhead", normalQuantities(spec["overhead"]));
  return result;
}

/** What only a pod of its own has, not the template of a Deployment. */
export function defaultPod(pod: JsonObject): JsonObject {
  const spec = objectAt(pod, "spec");
  const filled: JsonObject = {
    enableServiceLinks: true,
    serviceAccountName: "default",
    ...defaultPodSpec(spec),
    tolerations: [...listAt(spec, "tolerations"), ...missingTolerations(listAt(spec, "tolerations"))],
  };
  return { ...pod, spec: filled };
}

/** How long a pod bears a node that is not ready or not reachable. */
const tolerationSeconds = 300;

function missingTolerations(tolerations: readonly Json[]): readonly Json[] {
  const keys = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
  const missing = keys.filter((key) => !tolerations.some((one) => toleratesEviction(one, key)));
  return missing.map((key) => ({ key, operator: "Exists", effect: "NoExecute", tolerationSeconds }));
}

function toleratesEviction(toleration: Json, key: string): boolean {
  const effect = textAt(toleration, "effect");
  const ownKey = textAt(toleration, "key");
  return (ownKey === key || ownKey === "") && (effect === "NoExecute" || effect === "");
}

function defaultContainer(container: Json): Json {
  if (!isObject(container)) return container;
  const image = textAt(container, "image");
  const filled: JsonObject = {
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    imagePullPolicy: pullPolicy(image),
    ...withoutNulls(container),
    resources: defaultResources(objectAt(container, "resources")),
  };
  if (container["ports"] === undefined) return filled;
  const ports = listAt(container, "ports").map((port) => (isObject(port) ? { protocol: "TCP", ...port } : port));
  return { ...filled, ports };
}

/** An image without a tag, or tagged latest, may have changed since it was pulled. */
function pullPolicy(image: string): string {
  if (image.includes("@")) return "IfNotPresent";
  const tag = /:([^:/]+)$/.exec(image)?.[1] ?? "latest";
  return tag === "latest" ? "Always" : "IfNotPresent";
}

/** What is limited but not requested is requested at its limit. */
function defaultResources(resources: JsonObject): JsonObject {
  const limits = normalQuantities(objectAt(resources, "limits"));
  const requests: JsonObject = { ...limits, ...normalQuantities(objectAt(resources, "requests")) };
  const rest = withField(withField(resources, "limits", undefined), "requests", undefined);
  return {
    ...rest,
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
    ...(Object.keys(requests).length === 0 ? {} : { requests }),
  };
}

function withoutNulls(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null));
}
