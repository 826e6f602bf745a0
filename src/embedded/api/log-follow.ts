/**
 * The log of a container as it grows, for `kubectl logs -f`.
 */
import type { ApiContext, LogOptions } from "./context.ts";
import { ApiError } from "./errors.ts";
import { isObject, listAt, textAt, valueAt } from "./json.ts";
import { podLog } from "./pod-actions.ts";
import { findObject, type Target } from "./writes.ts";

/** How often the kubelet is asked; people see this as at once. */
const intervalMs = 200;

/** The log in pieces, until the container has ended, began anew, or the pod is gone; throws when `signal` fires. */
export async function* followLog(
  context: ApiContext,
  target: Target,
  wanted: LogOptions & { readonly container: string },
  signal: AbortSignal,
): AsyncIterable<string> {
  let seen = 0;
  for (let isFirst = true; ; isFirst = false) {
    // Asked before the text is read, so that nothing said before the end is missed.
    const hasEnded = containerHasEnded(context, target, wanted.container);
    const text = await readIfThere(context, target, wanted);
    if (text === undefined || text.length < seen) return;
    yield isFirst ? lastLines(text, wanted.tailLines) : text.slice(seen);
    if (hasEnded) return;
    seen = text.length;
    await context.clock.sleep(intervalMs, signal);
  }
}

async function readIfThere(
  context: ApiContext,
  target: Target,
  wanted: LogOptions & { readonly container: string },
): Promise<string | undefined> {
  try {
    return await podLog(context, target, { ...wanted, tailLines: undefined });
  } catch (error) {
    if (error instanceof ApiError) return undefined;
    throw error;
  }
}

function lastLines(text: string, count: number | undefined): string {
  if (count === undefined) return text;
  const lines = text.split("\n").slice(0, -1);
  return lines
    .slice(Math.max(0, lines.length - count))
    .map((line) => `${line}\n`)
    .join("");
}

/** Whether the container, or the only one, has ended or the pod is gone. */
function containerHasEnded(context: ApiContext, target: Target, name: string): boolean {
  try {
    const { object } = findObject(context, target);
    const statuses = [
      ...listAt(object, "status", "containerStatuses"),
      ...listAt(object, "status", "initContainerStatuses"),
    ];
    const found = statuses.find((one) => name === "" || textAt(one, "name") === name);
    return isObject(valueAt(found, "state", "terminated"));
  } catch (error) {
    if (error instanceof ApiError) return true;
    throw error;
  }
}
