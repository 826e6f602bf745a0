/** What a kubelet shows where it is not what the model says. */
import type { Node } from "../../../src/kube/index.ts";
import { type Expected, uuidOf } from "./agent-model.ts";

/** What differs between the kubelet's ids by resource and what they must be; empty when nothing does. */
export function idDifferences(
  expected: readonly Expected[],
  shown: ReadonlyMap<string, readonly string[]>,
): readonly string[] {
  const wanted = expected.flatMap(({ resource, uuid, healthy, held }) => {
    const ids = (shown.get(resource) ?? []).filter((id) => uuidOf(id) === uuid);
    const name = `${resource} ${uuid}`;
    const found: string[] = [];
    if (new Set(ids).size !== ids.length) found.push(`${name} has an id twice: ${ids.join()}`);
    if (ids.length !== healthy) found.push(`${name} has ${ids.length} of ${healthy}`);
    const missing = held.filter((id) => !ids.includes(id));
    const spare = ids.filter((id) => !held.includes(id));
    if (healthy > 0 && missing.length > 0 && spare.length > 0) {
      found.push(`${name} shows ${spare.join()} and not ${missing.join()}, which pods hold`);
    }
    return found;
  });
  const known = new Set(expected.map(({ resource, uuid }) => `${resource} ${uuid}`));
  const others = [...shown].flatMap(([resource, ids]) =>
    ids.filter((id) => !known.has(`${resource} ${uuidOf(id)}`)).map((id) => `${resource} ${id} is not of this node`),
  );
  return [...wanted, ...others];
}

/** What the API shows of capacity and of what can be allocated, where it is not what the model says. */
export function countDifferences(expected: readonly Expected[], { status }: Node): readonly string[] {
  const names = new Set([...Object.keys(status?.capacity ?? {}), ...expected.map(({ resource }) => resource)]);
  return [...names]
    .filter((name) => name.startsWith("nvidia.com/"))
    .flatMap((name) => {
      const all = expected.filter(({ resource }) => resource === name);
      const capacity = Number(status?.capacity?.[name] ?? 0);
      // The kubelet counts what a plugin had that is gone for five minutes more.
      const slots = all.length === 0 ? capacity : all.reduce((sum, one) => sum + one.slots, 0);
      const healthy = all.reduce((sum, one) => sum + one.healthy, 0);
      const seen = `${status?.allocatable?.[name] ?? 0} of ${capacity}`;
      return seen === `${healthy} of ${slots}` ? [] : [`${name}: ${seen}, not ${healthy} of ${slots}`];
    });
}
