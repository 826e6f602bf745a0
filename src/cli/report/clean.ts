/**
 * Text from manifests, messages and other people, made fit for a terminal: it may hold anything, and must neither move the
 * cursor nor pretend to be a line of ours.
 */

/** Text without anything else in it, which nearly all is. */
export const ONLY_ASCII = /^[\x20-\x7e]*$/;
/** Controls, marks of writing direction, joiners, halves of surrogate pairs; variation selectors make emoji of digits. */
const UNSAFE = /[\p{C}\p{Variation_Selector}\u2028\u2029]/gu;

/** What of `text` a terminal can show in one line. */
export function clean(text: string): string {
  return ONLY_ASCII.test(text) ? text : text.replaceAll(/\s+/g, " ").replaceAll(UNSAFE, "");
}
