/**
 * What to do about malformed YAML, told from the parser's reason and the text around it.
 */

const remedies: readonly { readonly reason: RegExp; readonly remedy: string }[] = [
  { reason: /tab character/, remedy: "indent with spaces, YAML allows no tabs there" },
  { reason: /deficient indentation/, remedy: "close the bracket or quote opened above, or indent this line further" },
  { reason: /bad indentation of a mapping entry/, remedy: 'indent keys alike, and quote values that contain ": "' },
  { reason: /bad indentation of a sequence entry/, remedy: "indent all list items alike" },
  {
    reason: /expected ':' after a mapping key|implicit key/,
    remedy: "write `key: value`, or indent the line to continue the one above",
  },
  { reason: /unidentified alias/, remedy: "define the anchor (&name) above its first use" },
  { reason: /escape sequence/, remedy: "use single quotes, in which a backslash is an ordinary character" },
  {
    reason: /document separator is expected/,
    remedy: "write `key: value` lines indented alike, and separate documents by a line `---`",
  },
  { reason: /complex keys/, remedy: "write keys as plain text" },
  { reason: /maxDepth/, remedy: "nest less deeply" },
  { reason: /tag/, remedy: "remove the tag" },
  { reason: /non-printable|null byte/, remedy: "save the file as UTF-8 text" },
];

/** The remedy for a syntax error with this reason at this offset of `text`. */
export function syntaxRemedy(reason: string, text: string, offset: number): string {
  const lineStart = text.lastIndexOf("\n", Math.max(offset - 1, 0)) + 1;
  const lineEnd = text.indexOf("\n", offset);
  const line = text.slice(lineStart, lineEnd === -1 ? undefined : lineEnd);
  if (/^ *\t/.test(line)) return "indent with spaces, YAML allows no tabs there";
  if (line.includes("{{")) return "render the template first, for example with `helm template`";
  if (/:\s+[@`%]/.test(line)) return 'quote the value: it may not start with "@", "`" or "%"';
  return remedies.find((one) => one.reason.test(reason))?.remedy ?? "correct the YAML here";
}
