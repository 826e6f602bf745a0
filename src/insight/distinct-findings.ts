/**
 * One mistake, one finding: the same thing is often seen by several who look at it.
 *
 * A mistake in a user's file is seen when the file is read, and again by the agent of every node, which reads the text
 * out of the API. Whoever read the file knows the place the user can open, so that finding stays and the others go.
 */
import { type Finding, placeText } from "../base/index.ts";

/**
 * All findings, each once, errors first and otherwise in their order. `first` come from reading files and from choices
 * made on the way, `later` from those who act on them: of the latter, one about a file or a config goes when `first`
 * has the same code and message.
 */
export function distinctFindings(first: readonly Finding[], later: readonly Finding[]): readonly Finding[] {
  const told = new Set(first.filter(isAboutText).map(saying));
  const news = later.filter((one) => !(isAboutText(one) && told.has(saying(one))));
  const byIdentity = new Map<string, Finding>();
  for (const one of [...first, ...news]) {
    const key = identity(one);
    if (!byIdentity.has(key)) byIdentity.set(key, one);
  }
  const order = { error: 0, warning: 1, info: 2 };
  return [...byIdentity.values()].sort((a, b) => order[a.severity] - order[b.severity]);
}

function isAboutText({ subject }: Finding): boolean {
  return subject.kind === "file" || subject.kind === "config";
}

function saying({ code, message }: Finding): string {
  return `${code} ${message}`;
}

/** Equal mistakes at two places of a file are two mistakes. */
function identity(one: Finding): string {
  const { kind, name } = one.subject;
  const place = one.place === undefined ? "" : placeText(one.place);
  return JSON.stringify([one.code, kind, name, one.message, place]);
}
