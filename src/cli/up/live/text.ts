/**
 * Text in the cells of a terminal: how wide it is, cut and filled to a width, whatever characters it has.
 *
 * Widths are never too small, so a line that was cut to the terminal's width fits: characters of which terminals think
 * differently count as two cells.
 */
import { ONLY_ASCII } from "../../report/clean.ts";
import type { Line, Span } from "../../terminal.ts";

/** Wide and fullwidth of Unicode's East Asian Width (UAX #11), and emoji. */
const WIDE = new RegExp(
  "[\\p{Emoji_Presentation}\\u1100-\\u115f\\u2329\\u232a\\u2e80-\\u303e\\u3041-\\ua4cf\\ua960-\\ua97f\\uac00-\\ud7a3" +
    "\\uf900-\\ufaff\\ufe10-\\ufe19\\ufe30-\\ufe6f\\uff00-\\uff60\\uffe0-\\uffe6\\u{16fe0}-\\u{1b2ff}" +
    "\\u{1f000}-\\u{1faff}\\u{20000}-\\u{3fffd}]",
  "u",
);
/** Marks that stand over or under the character before; others have a place of their own. */
const COMBINING = /[\p{Mn}\p{Me}]/u;

/** How many cells a cleaned text takes. */
export function textWidth(text: string): number {
  if (ONLY_ASCII.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += characterWidth(character);
  return width;
}

/** The text, or as much of it as leaves room for an ellipsis, in at most `width` cells. */
export function cutText(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  if (width <= 0) return "";
  let kept = "";
  let used = 0;
  for (const character of text) {
    used += characterWidth(character);
    if (used > width - 1) break;
    kept += character;
  }
  return `${kept}…`;
}

/** The text in exactly `width` cells. */
export function fitText(text: string, width: number): string {
  const cut = cutText(text, width);
  return cut + " ".repeat(Math.max(0, width - textWidth(cut)));
}

/** How many cells a line takes. */
export function lineWidth(line: Line): number {
  return line.reduce((sum, { text }) => sum + textWidth(text), 0);
}

/** The line in at most `width` cells. */
export function cutLine(line: Line, width: number): Line {
  if (lineWidth(line) <= width) return line;
  const cut: Span[] = [];
  let left = width;
  for (const span of line) {
    const own = textWidth(span.text);
    // The last piece that fits exactly is cut too, since what follows it is lost.
    if (own >= left) {
      cut.push({ ...span, text: cutText(own === left ? `${span.text} ` : span.text, left) });
      break;
    }
    cut.push(span);
    left -= own;
  }
  return cut;
}

/** The text in lines of `width` cells, broken anywhere: paths have no better place. */
export function wrapText(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  let used = 0;
  for (const character of text) {
    const own = characterWidth(character);
    if (used + own > width && line !== "") {
      lines.push(line);
      line = "";
      used = 0;
    }
    line += character;
    used += own;
  }
  return [...lines, line];
}

function characterWidth(character: string): number {
  if (COMBINING.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}
