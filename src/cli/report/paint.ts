/**
 * Colours, only where somebody sees them: not in files and pipes, not when `NO_COLOR` is set or the terminal is dumb.
 */
import { styleText } from "node:util";

export type Style = "red" | "yellow" | "green" | "cyan" | "dim" | "bold";

/** Gives a text a style, or leaves it as it is. */
export type Paint = (style: Style, text: string) => string;

/** For text that goes to `stream`; `FORCE_COLOR` in the environment makes colours for any stream. */
export function paintFor(stream: NodeJS.WritableStream): Paint {
  return (style, text) => styleText(style, text, { stream });
}
