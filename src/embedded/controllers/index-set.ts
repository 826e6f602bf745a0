/**
 * Sets of completion indexes as a job's status writes them: `0,2-4` (kubernetes, pkg/controller/job/indexed_job_utils.go).
 */

/** Reads the notation; what cannot be read is left out, and so are indexes that are not below `below`. */
export function parseIndexes(text: string | undefined, below: number): ReadonlySet<number> {
  const indexes = new Set<number>();
  for (const part of (text ?? "").split(",")) {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? [];
    if (first === undefined) continue;
    const end = Math.min(Number(last) + 1, below);
    for (let index = Number(first); index < end; index += 1) indexes.add(index);
  }
  return indexes;
}

/** Writes the notation; runs of three and more are shortened. */
export function formatIndexes(indexes: Iterable<number>): string {
  const runs: [first: number, last: number][] = [];
  for (const index of [...indexes].sort((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run !== undefined && run[1] === index - 1) run[1] = index;
    else runs.push([index, index]);
  }
  const texts = runs.flatMap(([first, last]) => {
    if (last === first) return [`${first}`];
    return last === first + 1 ? [`${first}`, `${last}`] : [`${first}-${last}`];
  });
  return texts.join(",");
}
