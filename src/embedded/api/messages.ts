/**
 * What built-in types consist of, message by message: for bodies in protobuf, and to tell which fields are known.
 */
import { fieldsOfText, type MessageField, type MessageTexts } from "./message-text.ts";
import { containerMessages } from "./messages-container.ts";
import { coreMessages } from "./messages-core.ts";
import { groupMessages } from "./messages-groups.ts";
import { metaMessages } from "./messages-meta.ts";
import { podMessages } from "./messages-pod.ts";
import { volumeMessages } from "./messages-volume.ts";
import { workloadMessages } from "./messages-workload.ts";

/** One message. */
export interface Message {
  readonly byNumber: ReadonlyMap<number, MessageField>;
  /** As JSON names them: fields of inline messages are among them, those messages themselves are not. */
  readonly byName: ReadonlyMap<string, MessageField>;
}

const texts: MessageTexts = {
  ...metaMessages,
  ...volumeMessages,
  ...containerMessages,
  ...podMessages,
  ...workloadMessages,
  ...coreMessages,
  ...groupMessages,
};

const fields: ReadonlyMap<string, readonly MessageField[]> = new Map(
  Object.entries(texts).map(([name, text]) => [name, fieldsOfText(text)]),
);

function namedFields(message: string): readonly MessageField[] {
  return (fields.get(message) ?? []).flatMap((one) => (one.name === "inline" ? namedFields(one.type) : [one]));
}

/** All messages; that of a kind bears its name. */
export const messages: ReadonlyMap<string, Message> = new Map(
  [...fields].map(([name, own]) => [
    name,
    {
      byNumber: new Map(own.map((one) => [one.number, one])),
      byName: new Map(namedFields(name).map((one) => [one.name, one])),
    },
  ]),
);

/** The name of a kind's message, where it has one; of two kinds of one name, the one outside the core group says more. */
export function messageOfKind(apiVersion: string, kind: string): string | undefined {
  const [group = ""] = apiVersion.includes("/") ? apiVersion.split("/") : [];
  return [`${group}/${kind}`, kind].find((name) => messages.has(name));
}
