/**
 * Who owns what: references to a controller, and which objects a controller takes in or lets go
 * (kubernetes, pkg/controller/controller_ref_manager.go).
 */
import {
  type KubeObject,
  matchesLabels,
  type OwnerReference,
  parseLabelSelector,
  type Selector,
} from "../../kube/index.ts";

/** The reference to the controller of an object, if it has one. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((one) => one.controller === true);
}

/** Whether `owner` is the object's controller. */
export function isControlledBy(object: KubeObject, owner: KubeObject): boolean {
  return controllerOf(object)?.uid === owner.metadata.uid;
}

/** The reference that makes `owner` an object's controller. */
export function controllerReference(owner: KubeObject): OwnerReference {
  const { name, uid = "" } = owner.metadata;
  return { apiVersion: owner.apiVersion, kind: owner.kind, name, uid, controller: true, blockOwnerDeletion: true };
}

/** What an owner has, and what it should take in or let go. */
export interface Claim<T> {
  readonly owned: readonly T[];
  readonly adopt: readonly T[];
  readonly release: readonly T[];
}

/**
 * Sorts `candidates`, objects of the owner's namespace. The owner lets go what it controls and no longer selects, and
 * takes in what it selects and nobody controls; while it is being deleted it does neither.
 */
export function claim<T extends KubeObject>(
  owner: KubeObject,
  selector: Selector | undefined,
  candidates: readonly T[],
): Claim<T> {
  const found: { owned: T[]; adopt: T[]; release: T[] } = { owned: [], adopt: [], release: [] };
  const isLeaving = owner.metadata.deletionTimestamp !== undefined;
  for (const one of candidates) {
    const controller = controllerOf(one);
    const selects = selector !== undefined && matchesLabels(selector, one.metadata.labels);
    if (controller !== undefined) {
      if (controller.uid !== owner.metadata.uid) continue;
      if (selects) found.owned.push(one);
      else if (!isLeaving) found.release.push(one);
    } else if (selects && !isLeaving && one.metadata.deletionTimestamp === undefined) {
      found.adopt.push(one);
    }
  }
  return found;
}

/** Those whose selector the object's labels meet. */
export function selecting<T extends KubeObject & { spec: { readonly selector?: unknown } }>(
  owners: readonly T[],
  { metadata }: KubeObject,
): readonly T[] {
  return owners.filter((one) => {
    const selector = parseLabelSelector(one.spec.selector);
    return selector !== undefined && selector.length > 0 && matchesLabels(selector, metadata.labels);
  });
}

/** The merge patch that makes `owner` the controller; fails when the object has changed meanwhile. */
export function adoptionPatch(object: KubeObject, owner: KubeObject): unknown {
  const ownerReferences = [...(object.metadata.ownerReferences ?? []), controllerReference(owner)];
  return { metadata: { ...identityOf(object), ownerReferences } };
}

/** The merge patch that takes the reference to `owner` away. */
export function releasePatch(object: KubeObject, owner: KubeObject): unknown {
  const ownerReferences = (object.metadata.ownerReferences ?? []).filter((one) => one.uid !== owner.metadata.uid);
  return { metadata: { ...identityOf(object), ownerReferences } };
}

function identityOf({ metadata: { uid, resourceVersion } }: KubeObject): object {
  return { uid, resourceVersion };
}
