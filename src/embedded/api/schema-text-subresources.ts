/**
 * What subresources take, described (autoscaling/v1 Scale, policy/v1 Eviction, core v1 Binding).
 */
import type { TypeTable, TypeText } from "./schema-text.ts";

/** The types by their names. */
export const subresourceTypes: TypeTable = {
  Scale: whole("Scale says how many replicas an object has and shall have.", {
    spec: "ScaleSpec How many it shall have.",
    status: "ScaleStatus How many it has.",
  }),
  ScaleSpec: {
    about: "How many replicas an object shall have.",
    fields: { replicas: "integer The number wanted." },
  },
  ScaleStatus: {
    about: "How many replicas an object has.",
    fields: {
      replicas: "integer! The number there is.",
      selector: "string The label selector of its pods, as lists take it.",
    },
  },
  Eviction: whole("Eviction asks a pod to go unless a disruption budget keeps it.", {
    deleteOptions: "DeleteOptions How the pod is deleted.",
  }),
  DeleteOptions: {
    about: "How an object is deleted.",
    fields: {
      dryRun: "string[] All, to try only.",
      gracePeriodSeconds: "integer How long a pod gets to end.",
      orphanDependents: "boolean Use propagationPolicy instead.",
      preconditions: "Preconditions Which object it must be.",
      propagationPolicy: "string Background, Foreground or Orphan: dependents go after the object, before it, or stay.",
    },
  },
  Preconditions: {
    about: "Which object it must be for a deletion to take place.",
    fields: { resourceVersion: "string Its version.", uid: "string Its uid." },
  },
  Binding: whole("Binding puts a pod on a node.", { target: "ObjectReference! The node." }),
};

/** A type that stands for itself, not only within others. */
function whole(about: string, fields: TypeText["fields"]): TypeText {
  const own = {
    apiVersion: "string The version of the API that the object is written in.",
    kind: "string The kind of the object.",
    metadata: "ObjectMeta The name of the object that it is about.",
  };
  return { about, fields: { ...own, ...fields } };
}
