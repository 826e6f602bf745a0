/**
 * Truth values of options and variables.
 */

const trueWords: readonly string[] = ["1", "t", "T", "true", "TRUE", "True"];
const falseWords: readonly string[] = ["", "0", "f", "F", "false", "FALSE", "False"];

/** What is said of a text that is none. */
export const NO_TRUTH = { reason: "could not parse as bool value", remedy: "use true or false" } as const;

/** As Go's strconv.ParseBool reads it, with an empty text as false (urfave/cli); `undefined` for any other text. */
export function truthOf(text: string): boolean | undefined {
  if (trueWords.includes(text)) return true;
  return falseWords.includes(text) ? false : undefined;
}
