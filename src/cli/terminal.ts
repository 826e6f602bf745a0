/**
 * The terminal that commands draw on: the whole screen, lines renewed in place, single keys.
 *
 * Pictures go to the terminal's alternate screen, so what stood there before is there again afterwards, whatever ends
 * the program but SIGKILL. Sequences are those of xterm's ctlseqs that every terminal in use knows.
 */
import { type Paint, paintFor, type Style } from "./report/paint.ts";

/** A piece of a line in one style. */
export interface Span {
  readonly text: string;
  readonly style?: Style;
}

/** One line, without a line feed. */
export type Line = readonly Span[];

export interface TerminalListener {
  /** `q`, `tab`, `up`, `pagedown`… as node:readline names keys. Ctrl-C is not told: it ends the program. */
  onKey(key: string): void;
  onResize(): void;
}

export interface Terminal {
  /** Whether its keys are told; not where standard input comes from elsewhere, as with `-f -`. */
  readonly hasKeys: boolean;
  /** In cells. */
  size(): { readonly columns: number; readonly rows: number };
  /** Takes the whole screen; what it returns gives it back, and may be called again. */
  open(listener: TerminalListener): () => void;
  /** Shows the lines, from the top, while the screen is taken; none may be wider than the terminal. */
  draw(lines: readonly Line[]): void;
}

const ESCAPE = "\u001b[";
/** Alternate screen, no cursor, and no wrapping, so that a character of unexpected width shifts no line. */
const TAKE = `${ESCAPE}?1049h${ESCAPE}?25l${ESCAPE}?7l${ESCAPE}2J`;
const GIVE_BACK = `${ESCAPE}?7h${ESCAPE}?25h${ESCAPE}?1049l`;
/** Where the size cannot be told. */
const USUAL_SIZE = { columns: 80, rows: 24 };

/** The terminal at standard output; `undefined` where there is none, or one that cannot move its cursor. */
export function processTerminal(): Terminal | undefined {
  const { stdout, stdin } = process;
  if (!stdout.isTTY || process.env["TERM"] === "dumb") return undefined;
  return new StreamTerminal(stdout, stdin);
}

class StreamTerminal implements Terminal {
  readonly #out: NodeJS.WriteStream;
  readonly #in: NodeJS.ReadStream;
  readonly #paint: Paint;
  #shown: readonly string[] = [];

  constructor(out: NodeJS.WriteStream, input: NodeJS.ReadStream) {
    this.#out = out;
    this.#in = input;
    this.#paint = paintFor(out);
  }

  get hasKeys(): boolean {
    return this.#in.isTTY === true;
  }

  size(): { readonly columns: number; readonly rows: number } {
    const { columns, rows } = this.#out;
    return { columns: columns || USUAL_SIZE.columns, rows: rows || USUAL_SIZE.rows };
  }

  open(listener: TerminalListener): () => void {
    const onResize = (): void => {
      this.#shown = [];
      this.#out.write(`${ESCAPE}2J`);
      listener.onResize();
    };
    const stopKeys = this.#listenToKeys(listener);
    let isOpen = true;
    const close = (): void => {
      if (!isOpen) return;
      isOpen = false;
      process.removeListener("exit", close);
      this.#out.removeListener("resize", onResize);
      this.#out.write(GIVE_BACK);
      stopKeys();
    };
    // Writes to a terminal are synchronous, so this works when the program crashes too.
    process.once("exit", close);
    this.#out.on("resize", onResize);
    this.#shown = [];
    this.#out.write(TAKE);
    return close;
  }

  draw(lines: readonly Line[]): void {
    const texts = lines.map((line) =>
      line.map(({ text, style }) => (style === undefined ? text : this.#paint(style, text))).join(""),
    );
    const count = Math.max(texts.length, this.#shown.length);
    const parts: string[] = [];
    for (let row = 0; row < count; row += 1) {
      const text = texts[row] ?? "";
      // The line is cleared first: at the last column, clearing to its end would take the last character.
      if (text !== this.#shown[row]) parts.push(`${ESCAPE}${row + 1};1H${ESCAPE}2K${text}`);
    }
    this.#shown = texts;
    if (parts.length > 0) this.#out.write(parts.join(""));
  }

  /** Single keys need the terminal's raw mode, in which Ctrl-C is a key too. */
  #listenToKeys({ onKey }: TerminalListener): () => void {
    const input = this.#in;
    if (!this.hasKeys) return () => {};
    const onKeypress = (_text: string | undefined, key: { readonly name?: string; readonly ctrl?: boolean }): void => {
      if (key.ctrl === true && key.name === "c") process.kill(process.pid, "SIGINT");
      else if (key.name !== undefined) onKey(key.name);
    };
    // Loaded here, since every command has a terminal and hardly one reads its keys.
    process.getBuiltinModule("node:readline").emitKeypressEvents(input);
    input.on("keypress", onKeypress);
    input.setRawMode(true);
    input.resume();
    return () => {
      input.removeListener("keypress", onKeypress);
      input.setRawMode(false);
      input.pause();
    };
  }
}
