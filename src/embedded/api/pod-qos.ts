/**
 * The quality of service class of a pod (kubernetes, pkg/apis/core/v1/helper/qos/qos.go).
 */
import { type JsonObject, listAt, objectAt } from "./json.ts";
import { amountOf } from "./quantities.ts";

const counted = ["cpu", "memory"];

/** `Guaranteed` when every container limits CPU and memory to what it requests, `BestEffort` when none asks at all. */
export function qosClass(spec: JsonObject): "Guaranteed" | "Burstable" | "BestEffort" {
  const containers = [...listAt(spec, "initContainers"), ...listAt(spec, "containers")];
  const asked = containers.map((one) => ({
    limits: objectAt(one, "resources", "limits"),
    requests: objectAt(one, "resources", "requests"),
  }));
  const positive = (amounts: JsonObject, resource: string): boolean => (amountOf(amounts, resource) ?? 0) > 0;
  const asksNothing = asked.every(
    ({ limits, requests }) => !counted.some((resource) => positive(limits, resource) || positive(requests, resource)),
  );
  if (asksNothing) return "BestEffort";
  const guaranteed = asked.every(({ limits, requests }) =>
    counted.every(
      (one) => positive(limits, one) && amountOf(limits, one) === (amountOf(requests, one) ?? amountOf(limits, one)),
    ),
  );
  return guaranteed ? "Guaranteed" : "Burstable";
}
