/**
 * The notation in which the messages of built-in types are written down.
 *
 * A message is one text of fields, each `number name` or `number name type`, with `;` between them. Types are `text`
 * (when none is given), `int`, `bool`, `bytes`, `time`, `microtime`, `intOrString`, `quantity`, `fieldsV1`, or another
 * message; `[]` after it means repeated, `map` before it a map from texts. An exclamation mark stands for a pointer in Go,
 * whose zero value means something; other zero values are left out. `inline` puts a message's fields into the message
 * around it. `skip` is not read, `open` is refused in protobuf; in JSON both may hold anything.
 */

/** Messages by name. */
export type MessageTexts = Readonly<Record<string, string>>;

/** A field of a message, taken apart. */
export interface MessageField {
  readonly number: number;
  readonly name: string;
  readonly type: string;
  readonly isMap: boolean;
  readonly isRepeated: boolean;
  readonly keepsZero: boolean;
}

/** Reads the fields of a message. */
export function fieldsOfText(text: string): readonly MessageField[] {
  return text.split(";").map((field) => {
    const [number = "", name = "", ...rest] = field.trim().split(" ");
    const written = rest.at(-1) ?? "text";
    return {
      number: Number(number),
      name,
      type: written.replace(/[![\]]+$/, ""),
      isMap: rest[0] === "map",
      isRepeated: written.endsWith("[]"),
      keepsZero: written.endsWith("!"),
    };
  });
}
