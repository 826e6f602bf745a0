/**
 * The text of files that somebody names on the command line.
 */
import { readFile } from "node:fs/promises";
import { errorText, finding, type Outcome } from "../base/index.ts";

/** The text of a file; `-` is standard input. Throws what the system says. */
export async function readInput(path: string): Promise<string> {
  if (path !== "-") return readFile(path, "utf8");
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString("utf8");
}

/** The same, with a finding where it cannot be read. */
export async function inputText(path: string): Promise<Outcome<string>> {
  try {
    return { ok: true, value: await readInput(path), findings: [] };
  } catch (error) {
    const message = `cannot read ${path}: ${errorText(error)}`;
    const remedy = "check the path";
    return { ok: false, findings: [finding("file-not-found", { kind: "file", name: path }, message, { remedy })] };
  }
}
