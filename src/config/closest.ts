/**
 * Which known word a misspelt one was probably meant to be.
 */

/** Those of `known` that are nearest to `word`, at most three; none when even they are too far off to suggest. */
export function closestWords(word: string, known: Iterable<string>): readonly string[] {
  const plain = word.toLowerCase();
  const distances = [...known].map((candidate) => ({
    candidate,
    distance: editDistance(plain, candidate.toLowerCase()),
  }));
  const least = Math.min(...distances.map(({ distance }) => distance));
  if (least > Math.max(2, Math.floor(word.length / 3))) return [];
  return distances
    .filter(({ distance }) => distance === least)
    .slice(0, 3)
    .map(({ candidate }) => candidate);
}

/** Insertions, deletions and replacements of letters that turn one word into the other. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
