/** What a terminal shows after a program has written to it: as much of xterm as the command line uses. */

export interface PtyScreen {
  /** The lines of the screen in use now, without blanks at their ends. */
  readonly lines: readonly string[];
  /** Whether the program draws on the alternate screen. */
  readonly isAlternate: boolean;
  readonly hasCursor: boolean;
}

/** Reads everything written so far; only sequences that move, clear, colour or switch are known. */
export function screenOf(written: string): PtyScreen {
  const screens: Record<"normal" | "alternate", string[]> = { normal: [], alternate: [] };
  let name: keyof typeof screens = "normal";
  let hasCursor = true;
  let row = 0;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: sequences for terminals begin with one.
  for (const [, sequence, final, text] of written.matchAll(/\u001b\[([?0-9;]*)([A-Za-z])|([^\u001b]+)/g)) {
    const screen = screens[name];
    if (text !== undefined) row = write(screen, row, text);
    else if (final === "H") row = Number(sequence?.split(";")[0]) - 1;
    else if (final === "K") screen[row] = "";
    else if (final === "J") screen.length = 0;
    else if (sequence === "?1049") name = final === "h" ? "alternate" : "normal";
    else if (sequence === "?25") hasCursor = final === "h";
  }
  return { lines: screens[name].map((line) => line.trimEnd()), isAlternate: name === "alternate", hasCursor };
}

/** Appends to the line; every line feed begins another. Returns the row the cursor is in then. */
function write(screen: string[], from: number, text: string): number {
  let row = from;
  for (const [at, part] of text.replaceAll("\r", "").split("\n").entries()) {
    if (at > 0) row += 1;
    screen[row] = (screen[row] ?? "") + part;
  }
  return row;
}
