/**
 * What the agent says on standard error: each finding when it comes, and when it is over.
 */
import { type Finding, findingLine } from "../../base/index.ts";
import type { Output } from "../output.ts";

export class Voice {
  readonly #output: Output;
  #told: ReadonlySet<string> = new Set();

  constructor(output: Output) {
    this.#output = output;
  }

  /** Tells of what differs from the last call. */
  tell(findings: readonly Finding[]): void {
    const now = new Set(findings.map(findingLine));
    for (const line of now) if (!this.#told.has(line)) this.#output.progress(line);
    for (const line of this.#told) if (!now.has(line)) this.#output.progress(`over: ${line}`);
    this.#told = now;
  }
}
